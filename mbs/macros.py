"""Make the package ``module-build-macros``, which is built first and makes the other RPMs modular.

See docs/contract/koji.md, "What a module build leaves in Koji", point 2.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Protocol

from mbs.modulemd import parse_stream
from mbs.nsvc import NSVC

PACKAGE = "module-build-macros"
VERSION = "0.1"
MACROS_FILE = "/etc/rpm/macros.zz-modules"

#: Text without special meaning for rpm's spec parser; not everything that matches is a name.
_PLAIN = re.compile(r"[A-Za-z0-9_.+~^:-]+( = [A-Za-z0-9_.+~^:-]+)?")
_UNWANTED = ("filtered_rpms", "ursine_rpms")
#: Unicode categories: control characters, line and paragraph separators, surrogates.
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})
# A version begins with a digit. That distinguishes a build of "perl" from the package "perl-Test-Simple".
_NEVR = re.compile(r"(?P<name>.+)-(?P<evr>(?:\d+:)?\d[^-:]*-[^-:]+)")
_ARCH = re.compile(r"\.(noarch|src|x86_64|i[3-6]86|aarch64|armv7hl|ppc64|ppc64le|s390x|riscv64)")

# The macros file is encoded in base64 so that rpm's spec parser does not interpret the author's text.
_SPEC = """\
%global modularitylabel {label}
Name:           {package}
Version:        {package_version}
Release:        1.{disttag}
Summary:        Macros for building the module {nsv}
License:        MIT
BuildArch:      noarch
{conflicts}
%description
Sets the dist tag, the modularity label and the author's macros while the packages
of the module {nsv} are built. It belongs into buildroots only.

%install
mkdir -p %{{buildroot}}/etc/rpm
base64 -d > %{{buildroot}}{file} <<'END'
{macros}
END

%files
{file}
"""


class Build(Protocol):
    """The part of a module build that its macros depend on."""

    @property
    def nsvc(self) -> NSVC:
        """Return name, stream, version and context."""

    @property
    def disttag(self) -> str:
        """Return the dist tag without the leading dot."""

    @property
    def modulemd(self) -> str:
        """Return the expanded document as YAML."""


def conflict(rpm: str) -> str:
    """Return the value of ``Conflicts:`` that keeps an RPM out of the buildroot.

    Args:
        rpm: ``name-[epoch:]version-release[.arch]``, or a name for all builds of the package.
    """
    arch = _ARCH.search(rpm, max(rpm.rfind("."), 0))
    match = _NEVR.fullmatch(rpm[: arch.start()] if arch else rpm)
    return f"{match['name']} = {match['evr']}" if match else rpm


def macros(nsvc: NSVC, disttag: str, author_macros: str = "") -> str:
    """Return the content of ``/etc/rpm/macros.zz-modules``.

    rpm reads this file last, so it overrides the platform's macros.

    Args:
        disttag: Dist tag without the leading dot, for example ``module+el8+12+0a1b2c3d``.
        author_macros: ``buildopts.rpms.macros`` of the document.
    """
    values = {
        "modularitylabel": str(nsvc),
        "_module_build": "1",
        "_module_name": nsvc.name,
        "_module_stream": nsvc.stream,
        "_module_version": nsvc.version,
        "_module_context": nsvc.context,
    }
    lines = [f"%dist .{disttag}"]
    lines += [f"%{key} {literal(value, Place.MACRO)}" for key, value in values.items()]
    if author_macros.strip():
        lines += ["", "# The author's macros:", author_macros.strip("\n")]
    return "\n".join(lines)


def spec(content: str, nsvc: NSVC, disttag: str, conflicts: Iterable[str] = ()) -> str:
    """Return the spec file of a macros package, which needs no sources.

    Args:
        content: Content of the macros file. It is installed unchanged and may hold any text.
        disttag: Dist tag without the leading dot.
        conflicts: RPMs (NEVRA or name) that must stay out of the buildroot.

    Raises:
        ValueError: A name, the dist tag or a conflict has characters that a spec file cannot hold.
    """
    wanted = sorted({conflict(rpm) for rpm in conflicts})
    for text in (disttag, *wanted):
        if not _PLAIN.fullmatch(text):
            raise ValueError(f"{text!r} has characters that a spec file cannot hold")
    return _SPEC.format(
        package=PACKAGE,
        package_version=VERSION,
        disttag=disttag,
        label=literal(str(nsvc), Place.GLOBAL),
        nsv=literal(nsvc.ns, Place.LINE),
        conflicts="".join(f"Conflicts:      {rpm}\n" for rpm in wanted),
        file=MACROS_FILE,
        macros=base64.encodebytes(f"{content}\n".encode()).decode("ascii").rstrip("\n"),
    )


def spec_for(build: Build) -> str:
    """Return the spec file of ``module-build-macros`` for a module build.

    The package conflicts with RPMs that buildrequired modules filter
    (``xmd.mbs.buildrequires.*.filtered_rpms``) and with base module RPMs that modules replace
    (``ursine_rpms`` of ``xmd.mbs`` or of a base module).

    Raises:
        mbs.modulemd.ModulemdError: The document is invalid.
        ValueError: See :func:`spec`.
    """
    document = parse_stream(build.modulemd, strict=False)
    content = macros(build.nsvc, build.disttag, document.buildopts.rpm_macros or "")
    return spec(content, build.nsvc, build.disttag, unwanted(document.mbs))


def unwanted(notes: Mapping[str, Any]) -> set[str]:
    """Return the NEVRAs that ``xmd.mbs`` keeps out of the buildroot."""
    required = notes.get("buildrequires")
    parts = [notes, *(required.values() if isinstance(required, dict) else ())]
    lists = [part.get(key) for part in parts if isinstance(part, dict) for key in _UNWANTED]
    return {rpm for each in lists if isinstance(each, list) for rpm in each if isinstance(rpm, str)}


class Place(Enum):
    """Position of a literal text, which determines how often rpm expands it and how it treats backslashes."""

    #: A tag or another line of a spec file: expanded once.
    LINE = 1
    #: The body of a macro in a macros file: expanded once, when it is used; backslashes escape.
    MACRO = 2
    #: The body of ``%global``: expanded at its definition and again when it is used; backslashes escape.
    GLOBAL = 3


def literal(text: str, place: Place) -> str:
    """Escape a text so that rpm reads it back unchanged, without expanding or running any of it.

    Raises:
        ValueError: The text has control characters or lone surrogates, which rpm's files cannot hold.
    """
    if not text.isprintable() and any(unicodedata.category(letter) in _UNPRINTABLE for letter in text):
        raise ValueError(f"{text!r:.100} has a character that a line of a spec file cannot hold")
    doublings = 2 if place is Place.GLOBAL else 1
    escaped = text.replace("%", "%" * 2**doublings)
    # This macro expands to nothing in the last expansion.
    nothing = "%" * 2 ** (doublings - 1) + "{nil}"
    if place is Place.LINE:
        # After a backslash rpm ignores the next character when it counts braces, or joins two lines.
        return re.sub(r"\\(?=%|$)", lambda _: "\\" + nothing, escaped)
    escaped = escaped.replace("\\", "\\\\")
    # rpm trims blanks around a body, treats a leading brace as another form of body, refuses an empty body,
    # and joins the next line after a trailing backslash, escaped or not.
    head = nothing if not text or text[0] in " {" or text[0].isspace() else ""
    tail = nothing if text and (text[-1].isspace() or text[-1] == "\\") else ""
    return head + escaped + tail
