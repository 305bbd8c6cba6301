"""Tag imported modules into the tag that consumers read.

See docs/contract/koji.md, "What a module build leaves in Koji", point 4, and "Builds and tasks".
"""

from __future__ import annotations

from collections.abc import Sequence

from buildsys.base import BuildSystemError, BuildSystemUnavailable, Module, Shipping
from buildsys.koji import tagging
from buildsys.koji.session import Hub, failure


def ship(hub: Hub, module: Module, tag: str, nvrs: Sequence[str]) -> Shipping:
    """Check whether imports were tagged, and request it for those that were not.

    The hub's history decides, not the current tag: if operators or the update system moved an import out of
    the tag, it is not put back.

    Args:
        tag: The tag that consumers read.
        nvrs: NVRs of the imports.
    """
    try:
        asked = tagging.put(
            hub, [tag], nvrs, since=module.since, owner=module.owner, bounded=False, put_back=False
        )
    except (BuildSystemError, BuildSystemUnavailable) as refusal:
        # A locked tag is not allowed either, and only operators can unlock it.
        if isinstance(refusal, BuildSystemUnavailable) and refusal.code != "koji_not_allowed":
            raise
        return Shipping(tuple(nvrs), refusal.message)
    there = {nvr for _, nvr in asked.there}
    return Shipping(tuple(nvr for nvr in nvrs if nvr not in there), _why(hub, asked.failed))


def _why(hub: Hub, task: int) -> str:
    """Return why a tagging task failed."""
    if not task:
        return ""
    with hub.multicall(strict=False) as calls:
        result = calls.getTaskResult(task, raise_fault=False)
    return f"task {task} failed: {failure(result)}"
