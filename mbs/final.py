"""Make the final documents of a module, which list its RPMs for each architecture.

The rules are in docs/contract/modulemd.md, "Components", and docs/contract/koji.md, "What a module build
leaves in Koji", point 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

from mbs.errors import Unprocessable
from mbs.modulemd import StreamV2

SOURCE = "src"
#: Max RPMs in a final document, and max total characters of its distinct licenses.
MAX_RPMS, MAX_LICENSES = 50_000, 1 << 20
_DEBUG = ("-debuginfo", "-debugsource")
#: Architecture of a module -> architectures of RPMs that can be installed beside its own.
MULTILIB = {
    "x86_64": frozenset({"i386", "i486", "i586", "i686", "athlon"}),
    "ppc64": frozenset({"ppc"}),
    "s390x": frozenset({"s390"}),
    "sparc64": frozenset({"sparc", "sparcv9"}),
}


@dataclass(frozen=True)
class BuiltRpm:
    """An RPM that the build of a component produced.

    Attributes:
        arch: ``src`` for a source RPM.
        source: Name of the source package.
        excludearch: ``ExcludeArch`` of the source package.
        exclusivearch: ``ExclusiveArch`` of the source package.
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
        """Name-epoch:version-release.arch."""
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"

    @property
    def debugged(self) -> str:
        """The package that a debuginfo or debugsource package belongs to; empty for others."""
        for suffix in _DEBUG:
            if self.name.endswith(suffix):
                return self.name.removesuffix(suffix)
        return ""


def final_documents(
    document: StreamV2, rpms: Sequence[BuiltRpm], arches: Iterable[str]
) -> dict[str, StreamV2]:
    """Return the final document for each architecture and for ``src``.

    Args:
        document: The expanded document; it is not changed.
        rpms: All RPMs that the module's components produced, for all architectures.

    Raises:
        Unprocessable: ``module_too_large``: there are more RPMs or licenses than a document may list.
    """
    if (
        len(rpms) > MAX_RPMS
        or sum(len(license_) for license_ in {rpm.license for rpm in rpms}) > MAX_LICENSES
    ):
        raise Unprocessable(
            f"The components of the module built {len(rpms)} RPMs. At most {MAX_RPMS} can be listed, with "
            f"{MAX_LICENSES} characters of different licenses.",
            code="module_too_large",
            hint="Spread its components over several modules.",
        )
    return {arch: _final(document, rpms, arch) for arch in (*arches, SOURCE)}


def content(document: StreamV2, rpms: Sequence[BuiltRpm], arch: str) -> list[BuiltRpm]:
    """Return the RPMs that belong to the module on one architecture: binary RPMs and their source RPMs.

    These do not belong to it: RPMs that the document filters, RPMs of ``buildonly`` components, RPMs that no
    component built, RPMs of other architectures, multilib RPMs that the component does not ask for, and
    debugging packages of any of these. For ``src``, return the source RPMs of all architectures.
    """
    if arch == SOURCE:
        arches = {rpm.arch for rpm in rpms} - {SOURCE, "noarch"} or {"noarch"}
        chosen = {rpm for each in arches for rpm in content(document, rpms, each) if rpm.arch == SOURCE}
        return sorted(chosen, key=lambda rpm: rpm.nevra)
    belongs = _Rules(document, arch).belongs
    binary = [rpm for rpm in rpms if rpm.arch != SOURCE and belongs(rpm)]
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


class _Rules:
    """The rules of a document about RPMs of one architecture."""

    def __init__(self, document: StreamV2, arch: str) -> None:
        self._arch = arch
        self._filtered = frozenset(document.filter_rpms)
        # If two components have the same name, the first one applies.
        self._components = {each.name: each for each in reversed(document.rpm_components.values())}
        included = document.mbs.get("rpms")
        # A whitelist replaces the list of components.
        self._sources = frozenset(document.buildopts.rpm_whitelist) or frozenset(
            (*self._components, *(included if isinstance(included, dict) else ()))
        )

    def belongs(self, rpm: BuiltRpm) -> bool:
        """Return whether a binary RPM belongs to the module."""
        arch, component = self._arch, self._components.get(rpm.source)
        if rpm.name in self._filtered or rpm.source not in self._sources:
            return False
        if component and (component.buildonly or (component.arches and arch not in component.arches)):
            return False
        if arch in rpm.excludearch or (rpm.exclusivearch and not rpm.exclusivearch & {arch, "noarch"}):
            return False
        if rpm.arch in MULTILIB.get(arch, ()):
            return component is not None and arch in component.multilib
        return rpm.arch in (arch, "noarch")


def _final(document: StreamV2, rpms: Sequence[BuiltRpm], arch: str) -> StreamV2:
    result = deepcopy(document)
    held = content(document, rpms, arch)
    result.arch = arch
    result.artifact_rpms = sorted(rpm.nevra for rpm in held)
    shipped = held if arch == SOURCE else [rpm for rpm in held if rpm.arch != SOURCE]
    result.content_licenses = sorted({rpm.license for rpm in shipped if rpm.license})
    # Repository addresses and the service's own notes are internal.
    for component in result.rpm_components.values():
        component.repository = component.cache = None
    for module in result.module_components.values():
        module.repository = None
    if isinstance(result.xmd, dict):
        result.xmd.pop("mbs", None)
    return result
