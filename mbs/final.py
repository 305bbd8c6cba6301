"""The documents of a finished module: what it holds for each architecture.

docs/contract/modulemd.md, "Components"; docs/contract/koji.md, "What a module build leaves in Koji", point 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

from mbs.errors import Unprocessable
from mbs.modulemd import StreamV2

SOURCE = "src"
#: RPMs that a final document may list, and characters of all different licenses together.
MAX_RPMS, MAX_LICENSES = 50_000, 1 << 20
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

    Attributes:
        arch: ``src`` for the source RPM.
        source: Name of its source package.
        excludearch: Of the source package; likewise ``exclusivearch``.
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

    Args:
        document: The expanded one; it is not changed.
        rpms: All that the module's components built, of all architectures.

    Raises:
        Unprocessable: ``module_too_large``, when they are more than any document should list.
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
    """What the module holds for an architecture: binary RPMs, and the source RPMs that they come from.

    Left out: what the module filters or only builds with, what no component of it built, other
    architectures, RPMs for multilib where the component does not ask for it, debugging files of what is
    left out. For ``src``: the source RPMs of every architecture.
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
    """What a document says of RPMs, prepared for many of them.

    Args:
        arch: Architecture of the module.
    """

    def __init__(self, document: StreamV2, arch: str) -> None:
        self._arch = arch
        self._filtered = frozenset(document.filter_rpms)
        # Of two components with the same name the first counts.
        self._components = {each.name: each for each in reversed(document.rpm_components.values())}
        included = document.mbs.get("rpms")
        # A whitelist takes the place of the components.
        self._sources = frozenset(document.buildopts.rpm_whitelist) or frozenset(
            (*self._components, *(included if isinstance(included, dict) else ()))
        )

    def belongs(self, rpm: BuiltRpm) -> bool:
        """Whether a binary RPM is one of the module's."""
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
    # Where sources lie, and the service's own notes, are nobody's business outside.
    for component in result.rpm_components.values():
        component.repository = component.cache = None
    for module in result.module_components.values():
        module.repository = None
    if isinstance(result.xmd, dict):
        result.xmd.pop("mbs", None)
    return result
