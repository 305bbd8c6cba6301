"""Whether consumers find an imported module: the tag that they look into.

Contract: ``koji.md``, "What a module build leaves in Koji", point 4, and "Facts: builds and tasks".
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

    :param tag: the tag that consumers look into.
    :param nvrs: of the imports.
    """
    with hub.multicall() as calls:
        owner = calls.getUser(module.owner)
        histories = {nvr: calls.queryHistory(tables=["tag_listing"], build=nvr, tag=tag) for nvr in nvrs}
    missing = tuple(nvr for nvr in nvrs if not histories[nvr].result.get("tag_listing"))
    if not missing:
        return Shipping()
    owner_name = module.owner if owner.result else str(hub.user["name"])
    try:
        asked = tagging.put(hub, [tag], missing, since=module.since, packages=owner_name, bounded=False)
    except BuildSystemError as refusal:
        return Shipping(missing, refusal.message)
    return Shipping(missing, _why(hub, asked.failed))


def _why(hub: Hub, task: int) -> str:
    """Why a task failed to tag something."""
    if not task:
        return ""
    with hub.multicall(strict=False) as calls:
        result = calls.getTaskResult(task, raise_fault=False)
    return f"task {task} failed: {failure(result)}"
