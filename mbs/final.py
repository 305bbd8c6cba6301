"""The documents of a finished module: what it holds for each architecture.

Contract: ``modulemd.md``, "Components"; ``koji.md``, "What a module build leaves in Koji", point 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

from mbs.modulemd import RpmComponent, StreamV2

SOURCE = "src"
_DEBUG = ("-debuginfo", "-debugsource")
#: Architecture of a module -> those whose RPMs its systems can install beside their own.
MULTILIB = {
    "x86_64": frozenset({"i386", "i486", "i586", "i686", "athlon"}),
    "ppc64": frozenset({"ppc"}),
    "s390x": frozenset({"s390"}),
    "sparc64": frozenset({"sparc", "sparcv9"}),
}


@dataclass(frozen=True)
class BuiltRpm:
    """An RPM that a component's build made.

    :param arch: ``src`` for the source RPM.
    :param source: name of its source package.
    :param excludearch: of the source package; likewise ``exclusivearch``.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    source: str
    license: str = ""
    excludearch: frozenset[str] = frozenset()
    exclusivearch: frozenset[str] = frozenset()

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"

    @property
    def debugged(self) -> str:
        """The package whose debugging files these are; empty for all others."""
        for suffix in _DEBUG:
            if self.name.endswith(suffix):
                return self.name.removesuffix(suffix)
        return ""


def final_documents(
    document: StreamV2, rpms: Sequence[BuiltRpm], arches: Iterable[str]
) -> dict[str, StreamV2]:
    """The final document for each architecture, and for ``src``.

    :param document: the expanded one; it is not changed.
    :param rpms: all that the module's components built, of all architectures.
    """
    return {arch: _final(document, rpms, arch) for arch in (*arches, SOURCE)}


def content(document: StreamV2, rpms: Sequence[BuiltRpm], arch: str) -> list[BuiltRpm]:
    """What the module holds for an architecture: binary RPMs, and the source RPMs that they come from.

    Left out: what the module filters or only builds with, what no component of it built, other
    architectures, RPMs for multilib where the component does not ask for it, debugging files of what is
    left out. For ``src``: the source RPMs of every architecture.
    """
    if arch == SOURCE:
        arches = {rpm.arch for rpm in rpms} - {SOURCE, "noarch"} or {"noarch"}
        chosen = {rpm for each in arches for rpm in content(document, rpms, each) if rpm.arch == SOURCE}
        return sorted(chosen, key=lambda rpm: rpm.nevra)
    binary = [rpm for rpm in rpms if rpm.arch != SOURCE and _belongs(document, rpm, arch)]
    main = [rpm for rpm in binary if not rpm.debugged]
    names, sources = {rpm.name for rpm in main}, {rpm.source for rpm in main}
    built = {rpm.name for rpm in rpms}
    debugging = [
        rpm
        for rpm in binary
        if rpm.debugged in names or (rpm.debugged and rpm.debugged not in built and rpm.source in sources)
    ]
    source_rpms = [rpm for rpm in rpms if rpm.arch == SOURCE and rpm.name in sources]
    return sorted({*main, *debugging, *source_rpms}, key=lambda rpm: rpm.nevra)


def _belongs(document: StreamV2, rpm: BuiltRpm, arch: str) -> bool:
    component = _component(document, rpm.source)
    if rpm.name in document.filter_rpms or not _builds(document, rpm.source):
        return False
    if component and (component.buildonly or (component.arches and arch not in component.arches)):
        return False
    if arch in rpm.excludearch or (rpm.exclusivearch and not rpm.exclusivearch & {arch, "noarch"}):
        return False
    if rpm.arch in MULTILIB.get(arch, ()):
        return component is not None and arch in component.multilib
    return rpm.arch in (arch, "noarch")


def _builds(document: StreamV2, source: str) -> bool:
    """Whether a source package is one of the module's; a whitelist takes the place of the components."""
    if document.buildopts.rpm_whitelist:
        return source in document.buildopts.rpm_whitelist
    included = document.mbs.get("rpms")
    return _component(document, source) is not None or (isinstance(included, dict) and source in included)


def _component(document: StreamV2, name: str) -> RpmComponent | None:
    return next((each for each in document.rpm_components.values() if each.name == name), None)


def _final(document: StreamV2, rpms: Sequence[BuiltRpm], arch: str) -> StreamV2:
    result = deepcopy(document)
    held = content(document, rpms, arch)
    result.arch = arch
    result.artifact_rpms = sorted(rpm.nevra for rpm in held)
    shipped = held if arch == SOURCE else [rpm for rpm in held if rpm.arch != SOURCE]
    result.content_licenses = sorted({rpm.license for rpm in shipped if rpm.license})
    # Where sources lie, and the service's own notes, are nobody's business outside.
    for component in result.rpm_components.values():
        component.repository = component.cache = None
    for module in result.module_components.values():
        module.repository = None
    if isinstance(result.xmd, dict):
        result.xmd.pop("mbs", None)
    return result
