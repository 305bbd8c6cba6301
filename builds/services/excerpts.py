"""Lines of the logs of failed components that explain why they failed, stored with them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from builds.models import ComponentBuild, ModuleBuild
from builds.services.build_system import build_system
from buildsys.excerpts import ExplainsFailures
from mbs.errors import MBSError
from mbs.states import ComponentState

log = logging.getLogger(__name__)

#: Codes of errors of a module build that its components are the cause of.
CODES = frozenset({"component_failed", "infrastructure_failed"})
#: Components of a batch whose logs are read.
MAX_EXCERPTS = 10


def store(components: Sequence[ComponentBuild]) -> None:
    """Store excerpts of the logs of failed components, at most ``MAX_EXCERPTS``.

    Excerpts are optional: if the build system is unavailable, that is logged.

    Args:
        components: The components of a batch that did not complete.
    """
    system = build_system()
    if not isinstance(system, ExplainsFailures):
        return
    failed = [each for each in components if each.state == ComponentState.FAILED and each.task_id]
    unexplained = {int(each.task_id or 0): each for each in failed[:MAX_EXCERPTS] if each.excerpt is None}
    try:
        found = system.explain(list(unexplained)) if unexplained else {}
    except MBSError as error:
        log.warning("The logs of failed components cannot be read: %s", error.message)
        return
    for number, excerpt in found.items():
        component = unexplained[number]
        component.excerpt = {
            "log": excerpt.log,
            "line": excerpt.line,
            "first_line": excerpt.line - excerpt.place if excerpt.line else None,
            "cause": excerpt.cause,
            "lines": list(excerpt.lines),
            "url": _page(component, excerpt.line),
        }
        rows = ComponentBuild.objects.filter(pk=component.pk, task_id=number, state=ComponentState.FAILED)
        rows.update(excerpt=component.excerpt)


def _page(component: ComponentBuild, line: int | None) -> str:
    """Return the path of the page that shows a line of a component's log."""
    place = f"?line={line}#L{line}" if line else ""
    return f"/builds/{component.module_build_id}/{quote(component.package, safe='')}/log{place}"


def of_module(build: ModuleBuild) -> dict[str, Any] | None:
    """Return the excerpt of the first failed component of a build that has one, with its name and number."""
    failed = build.component_builds.filter(state=ComponentState.FAILED, excerpt__isnull=False)
    component = failed.order_by("batch", "package").first()
    if component is None or not component.excerpt:
        return None
    return {"component": component.package, "component_build": component.pk, **component.excerpt}
