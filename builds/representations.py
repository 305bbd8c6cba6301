"""Builds as programs see them, in answers and in messages (docs/contract/rest.md, docs/contract/messages.md).

Times are datetimes, which ``builds.encoding`` writes.

Plain functions over rows that were read already: none of them queries the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from builds.encoding import plain
from builds.models import ApiToken, ComponentBuild, LogMessage, ModuleBuild
from builds.selectors.prepared import Record
from builds.selectors.rest import BASE_MODULE_COLUMNS, ModuleSurroundings, Trace, Waiting
from builds.selectors.statements import Row
from mbs.errors import failure_kind
from mbs.states import BuildState, ComponentState

#: columns that the short representation shows, and what the default one adds to them
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
    *("stream_version", "arch_names"),
)
COMPONENT_COLUMNS = (
    *("id", "package", "format", "task_id", "state", "state_reason", "module_build_id", "nvr", "batch"),
    *("buildonly", "task_url", "weight", "reuse_code", "reuse_detail", "reused_component_id"),
    *("time_started", "time_completed", "excerpt"),
)
LOG_COLUMNS = ("id", "time_created", "message")
_COMPONENT_WORDS: dict[int | None, str] = {int(state): state.name for state in ComponentState}
_WORDS: dict[int | None, str] = {int(state): state.word for state in BuildState}


def module_short(build: ModuleBuild) -> dict[str, Any]:
    """The short representation of a module build."""
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
    build: ModuleBuild, *, component_ids: Iterable[int], siblings: Iterable[int]
) -> dict[str, Any]:
    """The default representation without ``tasks`` and ``waiting_for``, which bus messages leave out."""
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


def module_answer(build: ModuleBuild, around: ModuleSurroundings) -> dict[str, Any]:
    """The default representation in the REST API."""
    components = around.components.get(build.pk, ())
    tasks: dict[str, dict[str, Any]] = {}
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


def module_verbose(build: ModuleBuild, around: ModuleSurroundings, url: str) -> dict[str, Any]:
    """The verbose representation.

    :param url: path at which the API shows this build: clients put the host before it.
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
        "virtual_streams": around.virtual_streams.get(build.pk, []),
        "arches": build.arch_names,
    }


def _base_module(row: Row) -> dict[str, Any]:
    values = dict(zip(BASE_MODULE_COLUMNS, row, strict=True))
    return values | {"state_name": _WORDS[values["state"]]}


def _module_step(step: Trace) -> dict[str, Any]:
    time, state, reason = step
    return {
        "time": time,
        "state": state,
        "state_name": _WORDS.get(state),
        "reason": reason,
    }


def waiting_for(waiting: Waiting | None) -> dict[str, Any] | None:
    """What a build waits for, since when, and what will wake it."""
    if waiting is None:
        return None
    more = f" (and {waiting.count - 1} more)" if waiting.count > 1 else ""
    return {
        "what": waiting.what + more,
        "since": waiting.since,
        "wakes_on": waiting.wakes_on,
    }


def log_message(message: LogMessage) -> dict[str, Any]:
    """A log message of a build."""
    return {
        "id": message.pk,
        "time_created": message.time_created,
        "message": message.message,
    }


def module_error(build: ModuleBuild) -> dict[str, Any] | None:
    """Why the build failed, for programs and people."""
    if build.state != BuildState.FAILED:
        return None
    return {
        "code": build.error_code or "failed",
        "message": build.state_reason or "",
        "hint": build.error_hint,
        "cause": error_cause(build.error_code),
        "excerpt": build.error_excerpt,
    }


def error_cause(code: str) -> str:
    """Return whether a build was canceled, or whose fault it was that it failed."""
    if code == "canceled":
        return "canceled"
    return "infrastructure" if failure_kind(code) == "infra" else "module"


def component_task(component: ComponentBuild) -> dict[str, Any]:
    """A component as it stands under ``tasks`` of its module build."""
    return {
        "task_id": component.task_id,
        "state": component.state,
        "state_reason": component.state_reason,
        "nvr": component.nvr,
    }


def component_default(component: ComponentBuild) -> dict[str, Any]:
    """The representation of a component build."""
    reuse = None
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


def component_answer(component: ComponentBuild, waiting: Waiting | None) -> dict[str, Any]:
    """The default representation in the REST API."""
    return {**component_default(component), "waiting_for": waiting_for(waiting)}


def component_verbose(
    component: ComponentBuild, waiting: Waiting | None, traces: Sequence[Trace], url: str
) -> dict[str, Any]:
    """The verbose representation of a component build.

    :param url: path at which the API shows this component build: clients put the host before it.
    """
    return {
        **component_answer(component, waiting),
        "batch": component.batch,
        "state_trace": [_component_step(step) for step in traces],
        "state_url": url,
    }


def _component_step(step: Trace) -> dict[str, Any]:
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
    """Body of ``mbs.module.state.change``."""
    body = module_default(build, component_ids=component_ids, siblings=siblings)
    body |= {key: plain(body[key]) for key in ("time_completed", "time_modified", "time_submitted")}
    body["release"] = f"{build.version}.{build.context}"
    if build.state in (BuildState.DONE, BuildState.READY):
        body["topdir"] = build.topdir
    return body


def component_message(component: ComponentBuild, module: ModuleBuild) -> dict[str, Any]:
    """Body of ``mbs.component.state.change``; ``module`` is the build it belongs to."""
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


TOKEN_COLUMNS = (
    *("id", "name", "owner", "start", "scopes"),
    *("created_at", "expires_at", "revoked_at", "last_used_at"),
)


def api_token(token: ApiToken | Record) -> dict[str, Any]:
    """An API token as its owner sees it; the token itself is not known. A record has ``TOKEN_COLUMNS``."""
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
