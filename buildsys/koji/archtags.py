"""Build tags for components that are built for fewer architectures than their module.

Builders take the architectures from the build tag; Koji's ``arch_override`` is for scratch builds only. Such
components therefore get a build tag with fewer architectures, which inherits from the module's build tag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

from buildsys.base import BuildSystemError, Job, Module
from buildsys.koji.errors import TAKEN
from buildsys.koji.session import Hub, outcome
from buildsys.koji.tags import Change, TagOptions, build_tag, call, link, make
from mbs.nsvc import BUILD_SUFFIX


def limited(job: Job) -> tuple[str, ...]:
    """Return the architectures that a job is limited to, in the module's order; empty for no limit."""
    arches = tuple(arch for arch in job.module.arches if arch in job.arches)
    return arches if len(arches) < len(job.module.arches) else ()


def arch_tag(module: Module, arches: Sequence[str]) -> str:
    """Return the name of the build tag for some of a module's architectures."""
    return f"{module.tag}-{'-'.join(arches)}{BUILD_SUFFIX}"


def arch_target(module: Module, arches: Sequence[str]) -> str:
    """Return the name of the build target for ``arch_tag``, which is short enough for older hubs."""
    prefix = module.tag.partition("-")[0]
    digest = hashlib.sha1(arch_tag(module, arches).encode(), usedforsecurity=False).hexdigest()
    return f"{prefix}-{digest[:16]}"


def prepare(hub: Hub, jobs: Sequence[Job], options: TagOptions) -> None:
    """Make missing build tags and targets for jobs with limited architectures."""
    wanted = {(job.module.tag, arches): job.module for job in jobs if (arches := limited(job))}
    if not wanted:
        return
    with hub.multicall(strict=False) as calls:
        parents = {tag: calls.getTag(build_tag(module)) for (tag, _), module in wanted.items()}
        known = {
            (tag, arches): (
                calls.getTag(arch_tag(module, arches)),
                calls.getBuildTarget(arch_target(module, arches)),
            )
            for (tag, arches), module in wanted.items()
        }
    changes: list[Change] = []
    for (tag, arches), module in wanted.items():
        found_tag, found_target = known[tag, arches]
        parent, name = outcome(parents[tag]), arch_tag(module, arches)
        if outcome(found_tag) is None:
            values = {
                "arches": " ".join(arches),
                "perm": options.permission or None,
                "extra": parent["extra"],
            }
            changes.append(partial(call, "createTag", name, **values))
        # The target is made last, so if it exists, everything that it needs exists.
        if outcome(found_target) is None:
            changes.append(partial(call, "setInheritanceData", name, [link(parent["id"], 0)], clear=True))
            changes.append(partial(call, "createBuildTarget", arch_target(module, arches), name, module.tag))
    for refusal in make(hub, changes):
        try:
            outcome(refusal)
        except BuildSystemError as error:
            # Another process made the same at the same time.
            if TAKEN not in error.message:
                raise
