"""Find out what the machine provides for build requirements, with whatever package manager it has.

On a host with an rpm database, the database answers. Elsewhere (Debian), a name is provided if it is a file,
a pkg-config module, a shared library that the linker knows, a Debian package of that name or of Debian's
equivalent, or a command. Each tool is run once for everything it knows, because names are untrusted and must
not become arguments of commands.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from buildsys.local.bounded import Bounds, ChildFailed, run
from buildsys.local.rootfs import PATH, SHOWN, shows
from buildsys.local.rpmfile import Dependency

#: Fedora's names of packages in every build environment -> Debian's names.
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
#: dpkg's list of installed packages.
_DPKG = "/var/lib/dpkg/status"

#: Folders of files that may be named in requirements: those that builds see. Thus the answer does not reveal
#: whether other files of the host exist. Links in them may lead to other folders, such as Debian's
#: /usr/lib/ssl/private.
_SHOWN = tuple(f"/{name}/" for name in SHOWN)
_MAX_NAME = 1024

_NAME = re.compile(r"[A-Za-z0-9_/.+:~^@=,()*-]+")
_ISA = re.compile(r"\((x86|aarch|arm|ppc|s390|riscv|mips)[a-z]*-(32|64)\)$")
_PKGCONFIG = re.compile(r"pkgconfig\(([A-Za-z0-9_][A-Za-z0-9_.+-]*)\)")
_SONAME = re.compile(r"([A-Za-z0-9_.+-]+\.so(?:\.[A-Za-z0-9_.+-]+)?)\([A-Za-z0-9_.]*\)(\(64bit\))?")
# rpm writes lock files beside its database.
_BOUNDS = Bounds(seconds=60, memory=1 << 30, output=64 << 20, file_bytes=16 << 20)

Provides = Mapping[str, tuple[Dependency, ...]]


def _output(*argv: str, stdin: str = "") -> str:
    """Return the output of a command of the host; an empty text if it fails or is missing."""
    program = shutil.which(argv[0])
    env = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    try:
        output = run([program or argv[0], *argv[1:]], stdin=stdin.encode(), bounds=_BOUNDS, env=env)
    except ChildFailed:
        return ""
    return output.decode("utf-8", "replace")


def has_rpm_database() -> bool:
    """Return whether the host's packages are RPMs.

    rpm itself is not run, because it would create an empty database. On a host whose packages are dpkg's,
    such a database may be there, since any use of rpm by root makes one; it lists nothing of the host.
    """
    if Path(_DPKG).exists() and Path(_DPKG).stat().st_size:
        return False
    return any(Path(folder, name).exists() for folder in _DATABASES for name in _DATABASE_FILES)


def rpmbuild_options() -> tuple[str, ...]:
    """Return options that adapt rpmbuild to the host's tools.

    rpm 4.20 and later makes debug packages by default and fails if they are empty. Debian's tools and
    compiler flags leave them empty, so they are disabled there.
    """
    return () if has_rpm_database() else ("--define", "_enable_debug_packages 0")


def provides(names: Iterable[str]) -> Provides:
    """Return the dependencies that packages of the host provide, by these names.

    Args:
        names: Names in requirements, without versions. They are untrusted and are never run.
    """
    asked = list(dict.fromkeys(names))
    sane = [name for name in asked if len(name) <= _MAX_NAME and _NAME.fullmatch(name)]
    files = {name: (Dependency(name),) for name in sane if name.startswith("/") and _is_shown(name)}
    others = [name for name in sane if not name.startswith("/")]
    found = {**files, **(_from_rpm(others) if has_rpm_database() else _from_debian(others))}
    return {name: found.get(name, ()) for name in asked}


def _is_shown(path: str) -> bool:
    return path.startswith(_SHOWN) and os.path.normpath(path) == path and shows(path)


def _from_rpm(names: Iterable[str]) -> Provides:
    asked = {name: dict[Dependency, None]() for name in names}
    listing = _output("rpm", "-qa", "--qf", "[%{PROVIDENEVRS}\n]") if asked else ""
    for line in listing.splitlines():
        part = line.split()
        if len(part) in (1, 3) and part[0] in asked:
            asked[part[0]][Dependency(*part)] = None
    return {name: tuple(found) for name, found in asked.items()}


def _from_debian(names: Iterable[str]) -> Provides:
    found: dict[str, tuple[Dependency, ...]] = {}
    modules: dict[str, str] = {}
    libraries: dict[str, tuple[str, bool]] = {}
    packages: list[str] = []
    for name in names:
        if match := _PKGCONFIG.fullmatch(name):
            modules[name] = match[1]
        elif match := _SONAME.fullmatch(name):
            libraries[name] = match[1], match[2] is not None
        elif name == "rtld(GNU_HASH)":
            # Every dynamic linker since glibc 2.5 reads that hash table.
            found[name] = (Dependency(name),)
        elif "(" not in _ISA.sub("", name):
            packages.append(name)
    return {**found, **_modules(modules), **_library_provides(libraries), **_packages(packages)}


def _modules(asked: Mapping[str, str]) -> Provides:
    """Return versions of pkg-config modules.

    Args:
        asked: Name of the requirement -> name of the module.
    """
    tool = shutil.which("pkg-config") or shutil.which("pkgconf")
    if not asked or not tool:
        return {}
    listed = {line.split(None, 1)[0] for line in _output(tool, "--list-all").splitlines() if line.strip()}
    known = {name: module for name, module in asked.items() if module in listed}
    versions = _output(tool, "--modversion", "--", *known.values()).splitlines() if known else []
    if len(versions) != len(known):
        # One module is broken, or this tool prints several versions differently.
        versions = [_output(tool, "--modversion", "--", module).strip() for module in known.values()]
    pairs = zip(known, versions, strict=True)
    return {name: (Dependency(name, "=", version),) for name, version in pairs if version}


def _library_provides(asked: Mapping[str, tuple[str, bool]]) -> Provides:
    """Return sonames and symbol versions that libraries of the host provide, by rpm's own generator.

    Args:
        asked: Name of the requirement -> soname, and whether it is the 64-bit one.
    """
    if not asked:
        return {}
    listing = _output("/sbin/ldconfig", "-p")
    files: dict[tuple[str, bool], str] = {}
    for soname, kind, file in re.findall(r"^\s+(\S+) \((.*)\) => (.+)$", listing, re.M):
        files.setdefault((soname, "64" in kind), file)
    known = (files[library] for library in asked.values() if library in files)
    wanted = dict.fromkeys(file for file in known if shows(file))
    lines = _output(str(ELFDEPS), "--provides", stdin="".join(f"{file}\n" for file in wanted)).split()
    by_soname: dict[tuple[str, bool], list[Dependency]] = {}
    for line in lines:
        if match := _SONAME.fullmatch(line):
            by_soname.setdefault((match[1], match[2] is not None), []).append(Dependency(line))
    return {name: tuple(by_soname.get(library, ())) for name, library in asked.items()}


def _packages(names: Iterable[str]) -> Provides:
    """Return versions of Debian packages for Fedora's names; for others, commands of these names."""
    names = list(names)
    versions = _installed() if names else {}
    found: dict[str, tuple[Dependency, ...]] = {}
    for name in names:
        plain = _ISA.sub("", name)
        version = next((versions[each] for each in _candidates(plain) if each in versions), "")
        if version:
            found[name] = (Dependency(name, "=", version),)
        elif "/" not in name and shutil.which(name, path=PATH):
            found[name] = (Dependency(name),)
    return found


def _candidates(name: str) -> Iterator[str]:
    """Yield possible Debian names of a Fedora package."""
    yield DEBIAN_NAMES.get(name, name)
    base = name.removesuffix("-devel")
    if base != name:
        yield from (f"{base}-dev", f"lib{base}-dev")


def _installed() -> dict[str, str]:
    """Return installed Debian package -> version without epoch and revision."""
    found = {}
    listing = _output("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n")
    for line in listing.splitlines():
        status, name, version = line.split(" ")
        if status == "installed":
            upstream = version.rpartition(":")[2]
            found[name] = upstream.rpartition("-")[0] or upstream
    return found
