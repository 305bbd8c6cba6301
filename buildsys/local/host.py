"""What the machine itself provides, asked of whatever package manager it has.

On a host with an rpm database that database answers. Elsewhere (Debian) a name is provided when it is a
file, a pkg-config module, a shared library that the linker knows, a Debian package of that name or of the
name that Debian gives it, or a command.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath

from buildsys.local.rootfs import SHOWN
from buildsys.local.rpmfile import Dependency

#: Fedora's names of what every build environment has -> Debian's.
DEBIAN_NAMES = {
    "gcc-c++": "g++",
    "glibc-devel": "libc6-dev",
    "glibc-headers": "libc6-dev",
    "glibc-static": "libc6-dev",
    "kernel-headers": "linux-libc-dev",
    "libstdc++-devel": "g++",
    "ninja-build": "ninja-build",
    "openssl-devel": "libssl-dev",
    "perl-generators": "perl",
    "perl-interpreter": "perl",
    "pkgconf-pkg-config": "pkg-config",
    "pkgconfig": "pkg-config",
    "python3-devel": "python3-dev",
    "rpm-build": "rpm",
    "zlib-devel": "zlib1g-dev",
}
ELFDEPS = Path("/usr/lib/rpm/elfdeps")
_DATABASES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_DATABASE_FILES = ("rpmdb.sqlite", "Packages.db", "Packages")

_NAME = re.compile(r"[A-Za-z0-9_/.+:~^@=,()*-]+")
_ISA = re.compile(r"\((x86|aarch|arm|ppc|s390|riscv|mips)[a-z]*-(32|64)\)$")
_PKGCONFIG = re.compile(r"pkgconfig\(([A-Za-z0-9_][A-Za-z0-9_.+-]*)\)")
_SONAME = re.compile(r"([A-Za-z0-9_.+-]+\.so(?:\.[A-Za-z0-9_.+-]+)?)\([A-Za-z0-9_.]*\)(\(64bit\))?")


def _output(*argv: str, stdin: str = "") -> str:
    """What a command of the host prints; nothing when it fails or is not there."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def has_rpm_database() -> bool:
    """Whether the host's own packages are RPMs. rpm is not asked: it would make an empty database."""
    return any(Path(folder, name).exists() for folder in _DATABASES for name in _DATABASE_FILES)


def _libraries() -> dict[tuple[str, bool], str]:
    """``(soname, 64 bit) -> file`` of the dynamic linker's cache."""
    listing = _output("/sbin/ldconfig", "-p")
    found: dict[tuple[str, bool], str] = {}
    for name, kind, file in re.findall(r"^\s+(\S+) \((.*)\) => (.+)$", listing, re.M):
        found.setdefault((name, "64" in kind), file)
    return found


def _library_provides(soname: str, wide: bool) -> tuple[Dependency, ...]:
    """What rpm's own generator says that a library of the host provides: soname and symbol versions."""
    file = _libraries().get((soname, wide))
    lines = _output(str(ELFDEPS), "--provides", stdin=f"{file}\n").split() if file else []
    return tuple(Dependency(line) for line in lines)


def _pkgconfig(name: str, module: str) -> tuple[Dependency, ...]:
    tool = shutil.which("pkg-config") or shutil.which("pkgconf")
    version = _output(tool, "--modversion", "--", module).strip() if tool else ""
    return (Dependency(name, "=", version),) if version else ()


def _debian_package(name: str) -> str:
    """Version of the installed Debian package that stands for a Fedora name, without revision; or nothing."""
    base = name.removesuffix("-devel")
    devel = (f"{base}-dev", f"lib{base}-dev") if base != name else ()
    for candidate in (DEBIAN_NAMES.get(name, name), *devel):
        query = ("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}\n", "--", candidate)
        for line in _output(*query).splitlines():
            status, _, version = line.partition(" ")
            if status == "installed":
                upstream = version.rpartition(":")[2]
                return upstream.rpartition("-")[0] or upstream
    return ""


def _from_debian(name: str) -> tuple[Dependency, ...]:
    version = _debian_package(_ISA.sub("", name))
    if version:
        return (Dependency(name, "=", version),)
    return (Dependency(name),) if shutil.which(name) else ()


def _from_rpm(name: str) -> tuple[Dependency, ...]:
    lines = _output("rpm", "-q", "--whatprovides", "--qf", "[%{PROVIDENEVRS}\n]", "--", name).splitlines()
    parts = [line.split() for line in lines]
    return tuple(Dependency(*part) for part in parts if part and part[0] == name and len(part) in (1, 3))


def _shows(path: str) -> bool:
    """Whether builds see a file here; others' existence is not for strangers to know."""
    top = PurePosixPath(os.path.normpath(path)).parts[1:2]
    return bool(top) and top[0] in SHOWN and Path(path).exists()


def provides(name: str) -> tuple[Dependency, ...]:
    """What the host provides under this name; empty when it does not.

    :param name: of a requirement without its version. It comes from strangers and is never run.
    """
    if not _NAME.fullmatch(name) or name.startswith("-"):
        return ()
    if name.startswith("/"):
        return (Dependency(name),) if _shows(name) else ()
    if has_rpm_database():
        return _from_rpm(name)
    if match := _PKGCONFIG.fullmatch(name):
        return _pkgconfig(name, match[1])
    if match := _SONAME.fullmatch(name):
        return _library_provides(match[1], match[2] is not None)
    if name == "rtld(GNU_HASH)":
        return (Dependency(name),)  # every dynamic linker since glibc 2.5 reads that hash table
    return () if "(" in _ISA.sub("", name) else _from_debian(name)
