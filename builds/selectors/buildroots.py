"""The packages of a build's tags, and the build groups of its buildroot."""

from __future__ import annotations

from functools import lru_cache

from builds.models import ModuleBuild
from mbs.modulemd import parse_stream

#: Build group in the build system -> profile of the required modules that lists its packages.
GROUPS = {"build": "buildroot", "srpm-build": "srpm-buildroot"}


def packages(build: ModuleBuild) -> list[str]:
    """Return the source packages of a build: its components without module-build-macros."""
    return list(
        build.component_builds.filter(build_time_only=False).order_by("pk").values_list("package", flat=True)
    )


def build_groups(build: ModuleBuild) -> dict[str, tuple[str, ...]]:
    """Return the packages of each build group, from the profiles of the modules that the build requires."""
    found: dict[str, set[str]] = {group: set() for group in GROUPS}
    for document in build.required_modules.values_list("modulemd", flat=True):
        profiles = _profiles(document)
        for group, profile in GROUPS.items():
            found[group] |= profiles.get(profile, frozenset())
    return {group: tuple(sorted(names)) for group, names in found.items()}


@lru_cache(maxsize=64)
def _profiles(modulemd: str) -> dict[str, frozenset[str]]:
    document = parse_stream(modulemd, strict=False)
    return {name: frozenset(profile.rpms) for name, profile in document.profiles.items()}
