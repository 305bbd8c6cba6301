"""The package ``module-build-macros``: the first thing that a module builds, and what makes its RPMs modular.

Contract: ``koji.md``, "What a module build leaves in Koji", point 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from mbs.modulemd import parse_stream

PACKAGE = "module-build-macros"
VERSION = "0.1"
MACROS_FILE = "/etc/rpm/macros.zz-modules"

#: What means nothing more to rpm's spec parser; not all that is in here is a name.
_PLAIN = re.compile(r"[^\s%]+( = [^\s%]+)?")
_UNWANTED = ("filtered_rpms", "ursine_rpms")
# A version begins with a digit, which tells a build of "perl" from the package "perl-Test-Simple".
_NEVR = re.compile(r"(?P<name>.+)-(?P<evr>(?:\d+:)?\d[^-:]*-[^-:]+)")
_ARCH = re.compile(r"\.(noarch|src|x86_64|i[3-6]86|aarch64|armv7hl|ppc64|ppc64le|s390x|riscv64)")

# Each line of the macros file has a bar in front, so that rpm's spec parser never sees a line of the author's
# that begins with "%if" or "%files".
_SPEC = """\
%global modularitylabel {label}
Name:           {package}
Version:        {package_version}
Release:        1.{disttag}
Summary:        Macros for building the module {name}:{stream}
License:        MIT
BuildArch:      noarch
{conflicts}
%description
Sets the dist tag, the modularity label and the author's macros while the packages
of the module {name}:{stream} are built. It belongs into buildroots only.

%install
mkdir -p %{{buildroot}}/etc/rpm
sed 's/^|//' > %{{buildroot}}{file} <<'END'
{macros}
END

%files
{file}
"""


class Build(Protocol):
    """A module build, as far as its macros depend on it.

    ``modulemd`` is the document as it was expanded; ``disttag`` has no leading dot.
    """

    name: str
    stream: str
    version: str
    context: str
    disttag: str
    modulemd: str


def conflict(rpm: str) -> str:
    """What the macros package conflicts with to keep an RPM out of the buildroot.

    :param rpm: ``name-[epoch:]version-release[.arch]``, or just its name, which stands for all its builds.
    """
    arch = _ARCH.search(rpm, max(rpm.rfind("."), 0))
    match = _NEVR.fullmatch(rpm[: arch.start()] if arch else rpm)
    return f"{match['name']} = {match['evr']}" if match else rpm


def macros(
    *, name: str, stream: str, version: str, context: str, disttag: str, author_macros: str = ""
) -> str:
    """The content of ``/etc/rpm/macros.zz-modules``. rpm reads it last, so it overrides the platform's.

    :param disttag: without leading dot, e.g. ``module+el8+12+0a1b2c3d``.
    :param author_macros: ``buildopts.rpms.macros`` of the document, as written.
    """
    lines = [
        f"%dist .{disttag}",
        f"%modularitylabel {_literal(f'{name}:{stream}:{version}:{context}')}",
        "%_module_build 1",
        f"%_module_name {_literal(name)}",
        f"%_module_stream {_literal(stream)}",
        f"%_module_version {_literal(version)}",
        f"%_module_context {_literal(context)}",
    ]
    if author_macros.strip():
        lines += ["", "# The author's macros:", author_macros.strip("\n")]
    return "\n".join(lines)


def spec(
    content: str,
    *,
    name: str,
    stream: str,
    version: str,
    context: str,
    disttag: str,
    conflicts: Iterable[str] = (),
) -> str:
    """The spec file of a macros package. It needs no sources.

    :param content: of the macros file; it arrives there as it is, whatever it holds.
    :param conflicts: RPMs (NEVRA or name) that must stay out of the buildroot.
    :raises ValueError: when the dist tag or a conflict could not stand in a spec file.
    """
    wanted = sorted({conflict(rpm) for rpm in conflicts})
    for text in (disttag, *wanted):
        if not _PLAIN.fullmatch(text):
            raise ValueError(f"{text!r} cannot stand in a spec file")
    return _SPEC.format(
        package=PACKAGE,
        package_version=VERSION,
        disttag=disttag,
        label=_literal(f"{name}:{stream}:{version}:{context}"),
        name=_literal(name),
        stream=_literal(stream),
        conflicts="".join(f"Conflicts:      {rpm}\n" for rpm in wanted),
        file=MACROS_FILE,
        macros="\n".join("|" + line.replace("%", "%%") for line in content.splitlines()),
    )


def spec_for(build: Build) -> str:
    """The spec file of module-build-macros for a module build.

    It conflicts with what ``xmd.mbs`` says must stay out: RPMs that buildrequired modules filter
    (``buildrequires.*.filtered_rpms``), and RPMs of base modules that modules bring in another build
    (``ursine_rpms``, of the whole or of a base module).

    :raises mbs.modulemd.ModulemdError: when the document is invalid.
    :raises ValueError: see :func:`spec`.
    """
    document = parse_stream(build.modulemd, strict=False)
    content = macros(
        name=build.name,
        stream=build.stream,
        version=build.version,
        context=build.context,
        disttag=build.disttag,
        author_macros=document.buildopts.rpm_macros or "",
    )
    return spec(
        content,
        name=build.name,
        stream=build.stream,
        version=build.version,
        context=build.context,
        disttag=build.disttag,
        conflicts=unwanted(document.mbs),
    )


def unwanted(notes: Mapping[str, Any]) -> set[str]:
    """The NEVRAs that ``xmd.mbs`` says must stay out of the buildroot."""
    required = notes.get("buildrequires")
    parts = [notes, *(required.values() if isinstance(required, dict) else ())]
    lists = [part.get(key) for part in parts if isinstance(part, dict) for key in _UNWANTED]
    return {rpm for each in lists if isinstance(each, list) for rpm in each if isinstance(rpm, str)}


def _literal(text: str) -> str:
    """Text that a macro is to expand to as it is."""
    return " ".join(text.replace("%", "%%").split())
