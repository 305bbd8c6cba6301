"""The package ``host``: what this machine itself provides of what finished modules require.

A module built here runs with this machine's C library, shell and so on. Where those are not RPMs, dnf knows
nothing of them and could not install the module. This package, in a repository of its own, says it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from buildsys.base import BuildSystemError
from buildsys.local import host
from buildsys.local.folders import lock
from buildsys.local.requirements import names_in
from buildsys.local.rpmfile import Dependency, Package, read_package
from buildsys.local.sandbox import BoundedLog, Limits, Sandbox, remove_tree

NAME = "host"
_EVR = re.compile(r"[A-Za-z0-9_.+~^:-]+")
_SPEC = """\
Name:           {name}
Version:        1
Release:        {release}
Summary:        What the machine that modules were built on provides
License:        MIT
BuildArch:      noarch
AutoReqProv:    no
{provides}
%description
Stands for the operating system of the machine that modules were built on. It holds no files.

%files
"""


def _offers(packages: Iterable[Package]) -> set[Dependency]:
    """What the host provides of what the packages require and do not provide themselves."""
    packages = list(packages)
    own = {provide.name for package in packages for provide in package.provides}
    own |= {file for package in packages for file in package.files}
    offers: set[Dependency] = set()
    for need in {need for package in packages for need in package.requires}:
        for name in set(names_in(need)) - own:
            found = host.provides(name)
            offers.update(found)
            if need.operator and any(not offer.operator for offer in found):
                offers.add(Dependency(name, "=", need.evr))
    return {offer for offer in offers if not offer.operator or _EVR.fullmatch(offer.evr)}


def ensure_host_package(folder: Path, packages: Iterable[Package], user: int) -> Path:
    """Make a repository whose one package provides what these packages require of the host.

    What it provided for earlier modules stays in it.

    :param folder: where the repository is to be; its parent is there.
    :param user: number of the user that rpmbuild becomes when the service runs as root.
    :returns: ``folder``.
    :raises BuildSystemError: ``host_package_failed``.
    """
    offers = _offers(packages)
    with lock(folder.with_name(f".{folder.name}.lock"), wait=True):
        known: set[Dependency] = set()
        release = 0
        for rpm in folder.glob("*.rpm"):
            package = read_package(rpm)
            known, release = set(package.provides), int(package.release)
        if offers <= known and release:
            return folder
        staging = folder.with_name(f".{folder.name}.new")
        remove_tree(staging)
        (staging / "repo").mkdir(parents=True)
        known = {provide for provide in known if provide.name != NAME}
        _build(staging, _spec(offers | known, release + 1), user)
        create_repository(staging / "repo")
        remove_tree(folder)
        (staging / "repo").rename(folder)
        remove_tree(staging)
    return folder


def _spec(offers: set[Dependency], release: int) -> str:
    provides = "".join(
        f"Provides:       {str(offer).replace('%', '%%')}\n" for offer in sorted(offers, key=str)
    )
    return _SPEC.format(name=NAME, release=release, provides=provides)


def _build(staging: Path, spec: str, user: int) -> None:
    (staging / "input").mkdir()
    (staging / "input" / "host.spec").write_text(spec, encoding="utf-8")
    sandbox = Sandbox(
        staging / "work",
        staging / "root",
        readonly={"/input": staging / "input"},
        limits=Limits(seconds=300),
        user=user,
    )
    sandbox.prepare()
    argv = ["rpmbuild", "-bb", "--nodeps", "--define", "_topdir /builddir", "--", "/input/host.spec"]
    with BoundedLog(staging / "log", 1 << 20) as log:
        code = sandbox.run(argv, log)
        built = sorted(sandbox.work.glob("RPMS/noarch/*.rpm"))
        if code or len(built) != 1:
            raise BuildSystemError(
                "The package that stands for this machine could not be built: "
                + " / ".join(log.recent()[-5:]),
                code="host_package_failed",
            )
    target = staging / "repo" / built[0].name
    built[0].rename(target)
    if os.geteuid() == 0:
        os.chown(target, 0, 0)
    target.chmod(0o644)


def create_repository(folder: Path, modules: str = "") -> None:
    """Make a folder of RPMs a yum repository.

    :param modules: modulemd documents for its metadata.
    :raises BuildSystemError: ``repository_failed``.
    """
    commands = [["createrepo_c", "--quiet", "--no-database", "--simple-md-filenames", str(folder)]]
    if modules:
        (folder / "modules.yaml").write_text(modules, encoding="utf-8")
        commands.append(
            ["modifyrepo_c", "--mdtype=modules", str(folder / "modules.yaml"), str(folder / "repodata")]
        )
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise BuildSystemError(f"{command[0]}: {error}", code="repository_failed") from error
        if done.returncode:
            raise BuildSystemError(f"{command[0]}: {done.stderr.strip()[-500:]}", code="repository_failed")
    (folder / "modules.yaml").unlink(missing_ok=True)
