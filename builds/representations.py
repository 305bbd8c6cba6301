"""Representations of builds in responses and messages (docs/contract/rest.md, docs/contract/messages.md).

The functions take rows that were read already, and do not query the database. Times are datetimes, which
``builds.encoding`` converts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from builds import shapes
from builds.encoding import plain
from builds.models import ApiToken, ComponentBuild, LogMessage, ModuleBuild, Subscription
from builds.selectors.compiled import Row
from builds.selectors.listing import ComponentRow, ModuleRow, Record
from builds.selectors.rest import ComponentTrace, ModuleRelations, ModuleTrace, Waiting
from mbs.errors import failure_kind
from mbs.states import BuildState, ComponentState

#: Columns that each representation needs.
SHORT_COLUMNS = ("id", "state", "stream", "version", "name", "context", "scratch")
DEFAULT_COLUMNS = (
    *SHORT_COLUMNS,
    *("batch", "koji_tag", "owner", "new_repo_task_id", "rebuild_strategy", "scmurl", "srpms"),
    *("state_reason", "time_completed", "time_modified", "time_submitted", "buildrequires"),
    *("error_code", "error_hint", "error_excerpt", "repository_url", "repo_file_url", "install"),
)
VERBOSE_COLUMNS = (
    *DEFAULT_COLUMNS,
    *("build_context", "build_context_no_bms", "modulemd", "reused_module_id", "runtime_context"),
    *("stream_version", "arch_names", "topdir"),
)
COMPONENT_COLUMNS = (
    *("id", "package", "format", "task_id", "state", "state_reason", "module_build_id", "nvr", "batch"),
    *("buildonly", "task_url", "weight", "reuse_code", "reuse_detail", "reused_component_id"),
    *("time_started", "time_completed", "excerpt"),
)
LOG_COLUMNS = ("id", "time_created", "message")
_COMPONENT_WORDS: dict[int | None, str] = {int(state): state.name for state in ComponentState}
_WORDS = {int(state): state.word for state in BuildState}


def module_short(build: ModuleRow) -> shapes.ModuleBuildShort:
    """Return the short representation of a module build."""
    return {
        "id": build.pk,
        "state": build.state,
        "state_name": _WORDS[build.state],
        "stream": build.stream,
        "version": build.version,
        "name": build.name,
        "context": build.context,
        "scratch": build.scratch,
    }


def module_default(
    build: ModuleRow, *, component_ids: Iterable[int], siblings: Iterable[int]
) -> shapes.ModuleState:
    """Return the default representation without ``tasks`` and ``waiting_for``, as in bus messages."""
    return {
        **module_short(build),
        "batch": build.batch,
        "component_builds": list(component_ids),
        "koji_tag": build.koji_tag,
        "owner": build.owner,
        "new_repo_task_id": build.new_repo_task_id,
        "rebuild_strategy": build.rebuild_strategy,
        "scmurl": build.scmurl,
        "srpms": build.srpms,
        "siblings": list(siblings),
        "state_reason": build.state_reason,
        "time_completed": build.time_completed,
        "time_modified": build.time_modified,
        "time_submitted": build.time_submitted,
        "buildrequires": build.buildrequires,
        "error": module_error(build),
    }


def module_answer(build: ModuleRow, around: ModuleRelations) -> shapes.ModuleBuild:
    """Return the default representation of a module build in the REST API."""
    components = around.components.get(build.pk, ())
    tasks: dict[str, dict[str, shapes.Task]] = {}
    for _, kind, package, task_id, state, reason, nvr in components:
        tasks.setdefault(kind, {})[package] = {
            "task_id": task_id,
            "state": state,
            "state_reason": reason,
            "nvr": nvr,
        }
    return {
        **module_default(
            build,
            component_ids=[row[0] for row in components],
            siblings=around.siblings.get(build.pk, ()),
        ),
        "tasks": tasks,
        "repository_url": build.repository_url or None,
        "repo_file_url": build.repo_file_url or None,
        "install": build.install or [],
        "waiting_for": waiting_for(around.waiting.get(build.pk)),
    }


def module_verbose(build: ModuleRow, around: ModuleRelations, url: str) -> shapes.ModuleBuildVerbose:
    """Return the verbose representation of a module build.

    Args:
        build: The build.
        around: Its related rows.
        url: Path of the build in the API, without the host.
    """
    return {
        **module_answer(build, around),
        "base_module_buildrequires": [_base_module(row) for row in around.base_modules.get(build.pk, ())],
        "build_context": build.build_context,
        "build_context_no_bms": build.build_context_no_bms,
        "modulemd": build.modulemd,
        "reused_module_id": build.reused_module_id,
        "runtime_context": build.runtime_context,
        "state_trace": [_module_step(step) for step in around.traces.get(build.pk, ())],
        "state_url": url,
        "stream_version": build.stream_version,
        "topdir": build.topdir or None,
        "virtual_streams": around.virtual_streams.get(build.pk, []),
        "arches": build.arch_names,
    }


def _base_module(row: Row) -> shapes.RequiredBaseModule:
    number, state, stream, version, name, context, stream_version = row
    return {
        "id": number,
        "state": state,
        "state_name": _WORDS[state],
        "stream": stream,
        "version": version,
        "name": name,
        "context": context,
        "stream_version": stream_version,
    }


def _module_step(step: ModuleTrace) -> shapes.ModuleStateChange:
    time, state, reason = step
    return {
        "time": time,
        "state": state,
        "state_name": _WORDS[state],
        "reason": reason,
    }


def waiting_for(waiting: Waiting | None) -> shapes.Waiting | None:
    """Return the thing that is waited for, since when, and the event that ends the wait."""
    if waiting is None:
        return None
    more = f" (and {waiting.count - 1} more)" if waiting.count > 1 else ""
    return {
        "what": waiting.what + more,
        "since": waiting.since,
        "wakes_on": waiting.wakes_on,
    }


def log_message(message: LogMessage | Record) -> shapes.LogMessage:
    """Return the representation of a log message."""
    return {
        "id": message.pk,
        "time_created": message.time_created,
        "message": message.message,
    }


def module_error(build: ModuleRow) -> shapes.Failure | None:
    """Return the error of a failed build; None: it has not failed."""
    if build.state != BuildState.FAILED:
        return None
    return {
        "code": build.error_code or "failed",
        "message": build.state_reason or "",
        "hint": build.error_hint,
        "cause": error_cause(build.error_code),
        "excerpt": build.error_excerpt,
    }


def error_cause(code: str) -> shapes.Cause:
    """Return the cause of a failure: a cancellation, the infrastructure, or the module itself."""
    if code == "canceled":
        return "canceled"
    return "infrastructure" if failure_kind(code) == "infra" else "module"


def component_task(component: ComponentRow) -> shapes.Task:
    """Return a component's entry in ``tasks`` of its module build."""
    return {
        "task_id": component.task_id,
        "state": component.state,
        "state_reason": component.state_reason,
        "nvr": component.nvr,
    }


def component_default(component: ComponentRow) -> shapes.UnwaitedComponent:
    """Return the representation of a component build without ``waiting_for``."""
    reuse: shapes.Reuse | None = None
    if component.reuse_code:
        reuse = {
            "reused": component.reused_component_id is not None,
            "code": component.reuse_code,
            "detail": component.reuse_detail,
        }
    return {
        "id": component.pk,
        "package": component.package,
        "format": component.format,
        **component_task(component),
        "state_name": _COMPONENT_WORDS.get(component.state),
        "module_build": component.module_build_id,
        "buildonly": component.buildonly,
        "task_url": component.task_url or None,
        "weight": component.weight,
        "reuse": reuse,
        "excerpt": component.excerpt,
        "time_started": component.time_started,
        "time_completed": component.time_completed,
    }


def component_answer(component: ComponentRow, waiting: Waiting | None) -> shapes.ComponentBuild:
    """Return the default representation of a component build in the REST API."""
    return {**component_default(component), "waiting_for": waiting_for(waiting)}


def component_verbose(
    component: ComponentRow, waiting: Waiting | None, traces: Sequence[ComponentTrace], url: str
) -> shapes.ComponentBuildVerbose:
    """Return the verbose representation of a component build.

    Args:
        component: The component build.
        waiting: Its oldest wait.
        traces: Its state changes.
        url: Path of the component build in the API, without the host.
    """
    return {
        **component_answer(component, waiting),
        "batch": component.batch,
        "state_trace": [_component_step(step) for step in traces],
        "state_url": url,
    }


def _component_step(step: ComponentTrace) -> shapes.ComponentStateChange:
    time, state, reason = step
    return {
        "time": time,
        "state": state,
        "state_name": _COMPONENT_WORDS.get(state),
        "reason": reason,
    }


def module_message(
    build: ModuleBuild, *, component_ids: Iterable[int], siblings: Iterable[int]
) -> dict[str, Any]:
    """Return the body of a message ``mbs.module.state.change``."""
    state = module_default(build, component_ids=component_ids, siblings=siblings)
    body: dict[str, Any] = {**state, "release": f"{build.version}.{build.context}"}
    body |= {key: plain(body[key]) for key in ("time_completed", "time_modified", "time_submitted")}
    if build.state in (BuildState.DONE, BuildState.READY):
        body["topdir"] = build.topdir
    return body


def component_message(component: ComponentBuild, module: ModuleBuild) -> shapes.ComponentMessage:
    """Return the body of a message ``mbs.component.state.change`` about a component of ``module``."""
    return {
        "id": component.pk,
        "package": component.package,
        **component_task(component),
        "state_name": component.state_name,
        "module_build": component.module_build_id,
        "name": module.name,
        "stream": module.stream,
        "version": module.version,
        "context": module.context,
    }


SUBSCRIPTION_COLUMNS = (
    *("id", "kind", "address", "subscriber", "owner", "name", "stream"),
    *("ended_only", "active", "error", "created_at"),
)


def subscription(row: Subscription | Record) -> shapes.Subscription:
    """Return the representation of a subscription, without the secret. A record has these columns."""
    return {
        "id": row.id,
        "kind": row.kind,
        "address": row.address,
        "subscriber": row.subscriber or None,
        "owner": row.owner,
        "name": row.name,
        "stream": row.stream,
        "ended_only": row.ended_only,
        "active": row.active,
        "error": row.error,
        "time_created": row.created_at,
    }


TOKEN_COLUMNS = (
    *("id", "name", "owner", "start", "scopes"),
    *("created_at", "expires_at", "revoked_at", "last_used_at"),
)


def api_token(token: ApiToken | Record) -> shapes.Token:
    """Return the representation of an API token, without the secret. A record has ``TOKEN_COLUMNS``."""
    return {
        "id": token.id,
        "name": token.name,
        "owner": token.owner,
        "start": token.start,
        "scopes": token.scopes,
        "time_created": token.created_at,
        "time_expires": token.expires_at,
        "time_revoked": token.revoked_at,
        "time_last_used": token.last_used_at,
    }
