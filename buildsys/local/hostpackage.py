"""Make a package ``host-...`` for each module that provides what the module requires of this machine.

A module that is built here needs this machine's C library, shell and so on. Where those are not RPMs, dnf
does not know them and could not install the module. The package, in a repository of its own, declares them.
Each module has its own package, so that the requirements of modules do not conflict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from buildsys.base import BuildSystemError
from buildsys.local import host
from buildsys.local.endings import ending
from buildsys.local.repodata import create_repository, own
from buildsys.local.requirements import names_in
from buildsys.local.rpmfile import Dependency, Package
from buildsys.local.sandbox import BoundedLog, Sandbox, Stopped, remove_tree

#: Max different requirements of one module, and max provides of its host package.
_MAX_NEEDS, _MAX_OFFERS = 50_000, 20_000
_SECONDS = 60.0
_EVR = re.compile(r"[A-Za-z0-9_.+~^:-]{1,255}")
_SPEC = """\
Name:           {name}
Version:        1
Release:        1
Summary:        Capabilities of the machine on which a module was built
License:        MIT
BuildArch:      noarch
AutoReqProv:    no
{provides}
%description
Represents the operating system on which a module was built. It has no files.

%files
"""


def package_name(label: str) -> str:
    """Return the name of the package for a module.

    Args:
        label: Unique label of the module.
    """
    return "host-" + re.sub(r"[^A-Za-z0-9_.+-]", "-", label)


def make_host_repository(
    folder: Path, label: str, packages: Callable[[], Iterable[Package]], scratch: Path, sandbox: Sandbox
) -> None:
    """Make a repository with a package that provides what these packages require of the host.

    Args:
        folder: An empty folder for the repository.
        label: See :func:`package_name`.
        packages: Yields the packages of a module one by one, because their metadata may not fit into memory.
        scratch: Path of a temporary folder that does not exist yet.
        sandbox: Provides limits and user.

    Raises:
        BuildSystemError: ``host_package_failed``, ``repository_failed``.
    """
    try:
        _build(folder, _spec(package_name(label), _offers(packages)), scratch, sandbox)
        create_repository(folder, scratch / "repodata", sandbox)
    finally:
        remove_tree(scratch)


def _offers(packages: Callable[[], Iterable[Package]]) -> set[Dependency]:
    """Return the provides of the host that meet requirements of the packages which no package meets."""
    needs: dict[Dependency, None] = {}
    for package in packages():
        needs |= dict.fromkeys(package.requires)
        if len(needs) > _MAX_NEEDS:
            raise _failed(f"its packages have more than {_MAX_NEEDS} different requirements")
    names = {name for need in needs for name in names_in(need)}
    for package in packages():
        names.difference_update(provide.name for provide in package.provides)
        names.difference_update(package.files)
    found = host.provides(names)
    offers = {offer for each in found.values() for offer in each}
    for need in needs:
        if need.operator and any(not offer.operator for offer in found.get(need.name, ())):
            # The version of a command is unknown, so it satisfies any version.
            offers.add(Dependency(need.name, "=", need.evr))
    offers = {offer for offer in offers if not offer.operator or _EVR.fullmatch(offer.evr)}
    if len(offers) > _MAX_OFFERS:
        raise _failed(f"it has more than {_MAX_OFFERS} different requirements of this machine")
    return offers


def _spec(name: str, offers: set[Dependency]) -> str:
    provides = "".join(
        f"Provides:       {str(offer).replace('%', '%%')}\n" for offer in sorted(offers, key=str)
    )
    return _SPEC.format(name=name, provides=provides)


def _build(folder: Path, spec: str, scratch: Path, sandbox: Sandbox) -> None:
    (scratch / "spec").mkdir(parents=True)
    (scratch / "spec" / "host.spec").write_text(spec, encoding="utf-8")
    inside = replace(
        sandbox,
        work=scratch / "work",
        mountpoint=scratch / "root",
        view=None,
        readonly={"/input": scratch / "spec"},
        limits=replace(sandbox.limits, seconds=_SECONDS, log_bytes=1 << 20),
    )
    inside.prepare()
    argv = ["rpmbuild", "-bb", "--nodeps", "--define", "_topdir /builddir", "--", "/input/host.spec"]
    with BoundedLog(scratch / "log", inside.limits.log_bytes) as log:
        try:
            code = inside.run(argv, log)
        except Stopped as error:
            raise _failed(str(error)) from None
        built = sorted(inside.work.glob("RPMS/noarch/*.rpm"))
        if code or len(built) != 1:
            raise _failed(f"rpmbuild {ending(code)}: {' / '.join(log.recent()[-5:])}")
    target = folder / built[0].name
    built[0].rename(target)
    own(target)


def _failed(reason: str) -> BuildSystemError:
    return BuildSystemError(
        f"The host package of the module could not be built: {reason}.",
        code="host_package_failed",
        hint="Reduce the module's requirements of the host.",
    )
