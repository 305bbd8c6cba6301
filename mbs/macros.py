"""The package ``module-build-macros``: the first thing that a module builds, and what makes its RPMs modular.

docs/contract/koji.md, "What a module build leaves in Koji", point 2.
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

#: What means nothing more to rpm's spec parser; not all that is in here is a name.
_PLAIN = re.compile(r"[A-Za-z0-9_.+~^:-]+( = [A-Za-z0-9_.+~^:-]+)?")
_UNWANTED = ("filtered_rpms", "ursine_rpms")
#: Unicode categories: control characters, line and paragraph separators, surrogates.
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})
# A version begins with a digit, which tells a build of "perl" from the package "perl-Test-Simple".
_NEVR = re.compile(r"(?P<name>.+)-(?P<evr>(?:\d+:)?\d[^-:]*-[^-:]+)")
_ARCH = re.compile(r"\.(noarch|src|x86_64|i[3-6]86|aarch64|armv7hl|ppc64|ppc64le|s390x|riscv64)")

# The macros file travels encoded, so that rpm's spec parser sees nothing of what an author wrote.
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
    """A module build, as far as its macros depend on it.

    ``modulemd`` is the document as it was expanded; ``disttag`` has no leading dot.
    """

    @property
    def nsvc(self) -> NSVC: ...
    @property
    def disttag(self) -> str: ...
    @property
    def modulemd(self) -> str: ...


def conflict(rpm: str) -> str:
    """What the macros package conflicts with to keep an RPM out of the buildroot.

    Args:
        rpm: ``name-[epoch:]version-release[.arch]``, or just its name, which stands for all its
            builds.
    """
    arch = _ARCH.search(rpm, max(rpm.rfind("."), 0))
    match = _NEVR.fullmatch(rpm[: arch.start()] if arch else rpm)
    return f"{match['name']} = {match['evr']}" if match else rpm


def macros(nsvc: NSVC, disttag: str, author_macros: str = "") -> str:
    """The content of ``/etc/rpm/macros.zz-modules``. rpm reads it last, so it overrides the platform's.

    Args:
        disttag: Without leading dot, e.g. ``module+el8+12+0a1b2c3d``.
        author_macros: ``buildopts.rpms.macros`` of the document, as written.
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
    """The spec file of a macros package. It needs no sources.

    Args:
        content: Of the macros file; it arrives there as it is, whatever it holds.
        conflicts: RPMs (NEVRA or name) that must stay out of the buildroot.

    Raises:
        ValueError: When a name, the dist tag or a conflict could not stand in a spec file.
    """
    wanted = sorted({conflict(rpm) for rpm in conflicts})
    for text in (disttag, *wanted):
        if not _PLAIN.fullmatch(text):
            raise ValueError(f"{text!r} cannot stand in a spec file")
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
    """The spec file of module-build-macros for a module build.

    It conflicts with what ``xmd.mbs`` says must stay out: RPMs that buildrequired modules filter
    (``buildrequires.*.filtered_rpms``), and RPMs of base modules that modules bring in another build
    (``ursine_rpms``, of the whole or of a base module).

    Raises:
        mbs.modulemd.ModulemdError: When the document is invalid.
        ValueError: See :func:`spec`.
    """
    document = parse_stream(build.modulemd, strict=False)
    content = macros(build.nsvc, build.disttag, document.buildopts.rpm_macros or "")
    return spec(content, build.nsvc, build.disttag, unwanted(document.mbs))


def unwanted(notes: Mapping[str, Any]) -> set[str]:
    """The NEVRAs that ``xmd.mbs`` says must stay out of the buildroot."""
    required = notes.get("buildrequires")
    parts = [notes, *(required.values() if isinstance(required, dict) else ())]
    lists = [part.get(key) for part in parts if isinstance(part, dict) for key in _UNWANTED]
    return {rpm for each in lists if isinstance(each, list) for rpm in each if isinstance(rpm, str)}


class Place(Enum):
    """Where a literal text stands, which decides how often rpm expands it and what a backslash does there."""

    #: a tag or another line of a spec file: expanded once
    LINE = 1
    #: the body of a macro in a macros file: expanded once, when it is used; backslashes escape
    MACRO = 2
    #: the body of ``%global``: expanded when it is defined, and again when it is used; backslashes escape
    GLOBAL = 3


def literal(text: str, place: Place) -> str:
    """Return what rpm reads back as ``text``, whatever it holds, without running or expanding any of it.

    Raises:
        ValueError: For control characters and lone surrogates, which no line of rpm's files can
            hold.
    """
    if not text.isprintable() and any(unicodedata.category(letter) in _UNPRINTABLE for letter in text):
        raise ValueError(f"{text!r:.100} holds a character that cannot stand in a line")
    doublings = 2 if place is Place.GLOBAL else 1
    escaped = text.replace("%", "%" * 2**doublings)
    # A macro that expands to nothing: it ends with the last expansion.
    nothing = "%" * 2 ** (doublings - 1) + "{nil}"
    if place is Place.LINE:
        # A backslash makes rpm overlook the next character when it counts braces, or join two lines.
        return re.sub(r"\\(?=%|$)", lambda _: "\\" + nothing, escaped)
    escaped = escaped.replace("\\", "\\\\")
    # Blanks around a body are trimmed, a brace in front makes a body of another form, no body at all is an
    # error, and a backslash at the end joins the next line, escaped or not.
    head = nothing if not text or text[0] in " {" or text[0].isspace() else ""
    tail = nothing if text and (text[-1].isspace() or text[-1] == "\\") else ""
    return head + escaped + tail
