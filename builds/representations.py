"""Builds as programs see them: in REST answers and in bus messages (contract: rest, messages).

Plain functions over rows that were read already: none of them queries the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from builds.models import ComponentBuild, ModuleBuild
from mbs.states import BuildState


def timestamp(moment: datetime | None) -> str | None:
    """``YYYY-MM-DDTHH:MM:SSZ``, or None."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def module_short(build: ModuleBuild) -> dict[str, Any]:
    """The short representation of a module build."""
    return {
        "id": build.pk,
        "state": build.state,
        "state_name": build.state_name,
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
        "time_completed": timestamp(build.time_completed),
        "time_modified": timestamp(build.time_modified),
        "time_submitted": timestamp(build.time_submitted),
        "buildrequires": build.buildrequires,
        "error": module_error(build),
    }


def module_error(build: ModuleBuild) -> dict[str, str] | None:
    """Why the build failed, for programs and people."""
    if build.state != BuildState.FAILED:
        return None
    return {
        "code": build.error_code or "failed",
        "message": build.state_reason or "",
        "hint": build.error_hint,
    }


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
        "state_name": component.state_name,
        "module_build": component.module_build_id,
        "task_url": component.task_url or None,
        "weight": component.weight,
        "reuse": reuse,
        "time_started": timestamp(component.time_started),
        "time_completed": timestamp(component.time_completed),
    }


def module_message(
    build: ModuleBuild, *, component_ids: Iterable[int], siblings: Iterable[int]
) -> dict[str, Any]:
    """Body of ``mbs.module.state.change``."""
    body = module_default(build, component_ids=component_ids, siblings=siblings)
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
