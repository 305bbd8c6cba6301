"""Whether consumers find an imported module: the tag that they look into.

docs/contract/koji.md, "What a module build leaves in Koji", point 4, and "Builds and tasks".
"""

from __future__ import annotations

from collections.abc import Sequence

from buildsys.base import BuildSystemError, Module, Shipping
from buildsys.koji import tagging
from buildsys.koji.session import Hub, failure


def ship(hub: Hub, module: Module, tag: str, nvrs: Sequence[str]) -> Shipping:
    """Look whether imports were tagged, and ask for it where they were not and nobody does it now.

    The hub's history is asked, not the tag: an import that operators or the update system moved on from
    the tag has arrived there, and is never put back.

    Args:
        tag: The tag that consumers look into.
        nvrs: Of the imports.
    """
    try:
        asked = tagging.put(
            hub, [tag], nvrs, since=module.since, owner=module.owner, bounded=False, again=False
        )
    except BuildSystemError as refusal:
        return Shipping(tuple(nvrs), refusal.message)
    there = {nvr for _, nvr in asked.there}
    return Shipping(tuple(nvr for nvr in nvrs if nvr not in there), _why(hub, asked.failed))


def _why(hub: Hub, task: int) -> str:
    """Why a task failed to tag something."""
    if not task:
        return ""
    with hub.multicall(strict=False) as calls:
        result = calls.getTaskResult(task, raise_fault=False)
    return f"task {task} failed: {failure(result)}"
