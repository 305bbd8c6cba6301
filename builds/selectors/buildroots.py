"""What a build's buildroot and its tags are made of."""

from __future__ import annotations

from functools import lru_cache

from builds.models import ModuleBuild
from mbs.modulemd import parse_stream

#: build group in the build system -> profile of the required modules whose packages it holds
GROUPS = {"build": "buildroot", "srpm-build": "srpm-buildroot"}


def packages(build: ModuleBuild) -> list[str]:
    """Source packages of a build: its components, without the macros."""
    return list(
        build.component_builds.filter(build_time_only=False).order_by("pk").values_list("package", flat=True)
    )


def build_groups(build: ModuleBuild) -> dict[str, tuple[str, ...]]:
    """What is installed in every buildroot of a build: from the profiles of the modules it requires."""
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
