"""Find the RPMs that must not be installed in a build's buildroots, once, while the build is in init.

They are recorded in ``xmd.mbs`` of its document, and module-build-macros conflicts with them
(``mbs.macros.unwanted``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from builds.models import ModuleBuild
from builds.services.build_system import build_system
from buildsys.base import ListsRpms, TaggedRpm
from mbs.modulemd import StreamV2, dump, parse_stream

FILTERED = "filtered_rpms"
COLLIDING = "ursine_rpms"


def record(build: ModuleBuild) -> dict[str, Any]:
    """Record in a build's document which RPMs must not be installed in its buildroots; do not save it.

    A resumed build keeps the RPMs that were recorded before, and so its buildroots.

    Args:
        build: A build in init, with its architectures.

    Returns:
        The changed columns; empty if the build system cannot list RPMs, or if nothing is to be built.

    Raises:
        BuildSystemUnavailable: The build system, or an external repository of a tag, is unavailable.
    """
    system = build_system()
    document = parse_stream(build.modulemd, strict=False)
    has_macros = build.component_builds.filter(build_time_only=True).exists()
    if not isinstance(system, ListsRpms) or COLLIDING in document.mbs or not has_macros:
        return {}
    filtered = _filtered(build, system)
    required = {
        name: {**info, FILTERED: sorted(filtered.get(name, ()))} for name, info in _required(document).items()
    }
    notes = {**document.mbs, "buildrequires": required, COLLIDING: sorted(_colliding(build, system))}
    xmd = {**(document.xmd if isinstance(document.xmd, dict) else {}), "mbs": notes}
    build.modulemd, build.buildrequires = dump(replace(document, xmd=xmd)), required
    return {"modulemd": build.modulemd, "buildrequires": build.buildrequires}


def _required(document: StreamV2) -> Mapping[str, Mapping[str, Any]]:
    found = document.mbs.get("buildrequires")
    return found if isinstance(found, dict) else {}


def _filtered(build: ModuleBuild, system: ListsRpms) -> dict[str, set[str]]:
    """Return the filtered RPMs of each required module, except RPMs of builds that this build reuses."""
    filters = {
        module.name: set(parse_stream(module.modulemd, strict=False).filter_rpms)
        for module in build.required_modules.all()
    }
    tags = {
        name: str(info["koji_tag"])
        for name, info in build.buildrequires.items()
        if filters.get(name) and info.get("koji_tag")
    }
    if not tags:
        return {}
    own = set(build.component_builds.exclude(reused_component=None).values_list("nvr", flat=True))
    held = system.rpms_in(sorted(set(tags.values())), build.arch_names)
    return {
        name: {rpm.nevr for rpm in held[tag] if rpm.name in filters[name] and rpm.build not in own}
        for name, tag in tags.items()
    }


def _colliding(build: ModuleBuild, system: ListsRpms) -> set[str]:
    """Return the RPMs of base modules that another required module provides from a different build.

    The module's RPM is to be installed, even if the base module's is newer.
    """
    bases: set[str] = set()
    others: set[str] = set()
    for name, info in build.buildrequires.items():
        if info.get("koji_tag"):
            (bases if name in settings.MBS.BASE_MODULE_NAMES else others).add(str(info["koji_tag"]))
    if not bases or not others:
        return set()
    held = system.rpms_in(sorted(bases | others), build.arch_names)
    modular = _by_name(rpm for tag in others for rpm in held[tag])
    found = {rpm for tag in bases for rpm in held[tag] if rpm.name in modular}
    if packages := {rpm.build.rsplit("-", 2)[0] for rpm in found if rpm.build}:
        # A tag may offer all its builds, so older builds of the base modules conflict too.
        older = system.rpms_in(sorted(bases), build.arch_names, sorted(packages))
        found |= {rpm for rpms in older.values() for rpm in rpms if rpm.name in modular}
    return {rpm.nevr for rpm in found if rpm.nevr not in {each.nevr for each in modular[rpm.name]}}


def _by_name(rpms: Iterable[TaggedRpm]) -> dict[str, set[TaggedRpm]]:
    found: dict[str, set[TaggedRpm]] = defaultdict(set)
    for rpm in rpms:
        found[rpm.name].add(rpm)
    return found
