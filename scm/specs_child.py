"""Parse spec files in a separate process: one request per line on stdin, one answer per line on stdout.

``scm.specs`` runs this file as an isolated script, with the limits as arguments. The parser (norpm) runs no
code of the spec file by design; an audit hook enforces it.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any

from norpm.builtins import BUILTINS
from norpm.exceptions import NorpmError, NorpmRecursionError
from norpm.macro import MacroRegistry
from norpm.macrofile import macrofile_parse
from norpm.specfile import ParserHooks, specfile_expand

#: Macros that spec files rely on; other macros stay unexpanded.
_MACROS = """\
%nil %{!?nil:}
%dist %{nil}
%_prefix /usr
%_arch noarch
%_target_cpu noarch
%python3_pkgversion 3
%bcond_with() %{expand:%%{?_with_%{1}:%%global with_%{1} 1}}
%bcond_without() %{expand:%%{!?_without_%{1}:%%global with_%{1} 1}}
%bcond() %{expand:%[ %{2} ? "%%{bcond_without %{1}}" : "%%{bcond_with %{1}}" ]}
%with() %{expand:%%{?with_%{1}:1}%%{!?with_%{1}:0}}
%without() %{expand:%%{?with_%{1}:0}%%{!?with_%{1}:1}}
%defined() %{expand:%%{?%{1}:1}%%{!?%{1}:0}}
%undefined() %{expand:%%{?%{1}:0}%%{!?%{1}:1}}
"""
_FILE_TAG = re.compile(r"(source|patch)([0-9]*)")
_SECTIONS = (
    "package|description|sourcelist|patchlist|prep|generate_buildrequires|conf|build|install|check|clean"
    "|pre|post|preun|postun|pretrans|posttrans|preuntrans|postuntrans|triggerin|triggerun|triggerprein"
    "|triggerpostun|filetriggerin|filetriggerun|filetriggerpostun|transfiletriggerin|transfiletriggerun"
    "|transfiletriggerpostun|verifyscript|files|changelog|sepolicy"
)
_SECTION = re.compile(rf"%({_SECTIONS})(?![A-Za-z0-9_])(.*)")
#: Begin of the sections with scripts and texts, which contain no tags.
_BODY = re.compile(r"%(?:prep|generate_buildrequires|conf|build|install|check|files|changelog)\b")
_CHANGELOG = re.compile(r"%changelog\b")
#: A macro without a known definition, alone on a line. It may expand to tags (``%fontpkg``).
_MAYBE_TAGS = re.compile(r"^%(?:\{(?!lua)[?!]*[a-z_]\w*(?::.*)?\}|[a-z_]\w*)\s*")
_DEFINITION = re.compile(r"\s*%(?:global|define)\s")
#: rpm's conditionals (rpm manual, "Spec file format", "Conditionals").
_CONDITIONAL = re.compile(
    r"\s*%(if|ifarch|ifnarch|ifos|ifnos|elif|elifarch|elifos|else|endif)(?![A-Za-z0-9_])(.*)", re.DOTALL
)
_INCLUDE = re.compile(r"\s*%include\s+(\S+)\s*")
_LOAD = re.compile(r"\s*%\{load:\s*([^{}\s]+|%\{[^{}]+\})\s*\}\s*")
_PLAIN_TAG = re.compile(r"\s*([A-Za-z]+[0-9]*)(?:\([^)]*\))?\s*:\s*(.*)")
#: The dist tag in the second reading, and the architectures in both.
_DIST, _ARCHES = ".mbs0dist0", ("x86_64", "aarch64")
_COMPARISONS = frozenset({"<", "<=", "=", "==", ">=", ">"})
#: Max characters of a value in the answer, and max values of a list.
_MAX_VALUE, _MAX_VALUES = 4096, 10_000
_CORE = ("name", "version", "release")
#: A macro that the build environment may define. Sections and definitions are macros to norpm too.
_NAME = re.compile(rf"(?!(?:{_SECTIONS}|global|define|undefine|setup|autosetup)$)[A-Za-z_]\w{{2,}}")


class Refused(Exception):
    """The spec file cannot be used; the arguments are a code and the reason."""


def inspect(text: str, stem: str, macros: dict[str, str], included: dict[str, str]) -> dict[str, object]:
    """Return the tags of a spec file, with warnings about values that depend on the build environment.

    The file is read under two environments that differ in the architecture and in every macro that the file
    does not define. A value is certain if both readings agree.

    Args:
        stem: Name of the file without ``.spec``.
        included: Argument of ``%include`` or ``%{load:}`` -> content of that file.

    Raises:
        Refused: rpm would refuse the file too: a mandatory tag is missing under every condition, or its
            conditionals do not match.
    """
    lines = list(_toplevel(_include(text, included)))
    _check_conditionals(_until(_CHANGELOG, lines))
    head = _plain_conditionals(_until(_BODY, lines))
    try:
        readings = _readings(head, macros)
    except (Refused, MemoryError, RecursionError):
        raise
    except NorpmRecursionError as error:
        raise Refused("spec_invalid", f"a macro calls itself ({str(error)[:200]})") from error
    except Exception as error:  # noqa: BLE001 - the parser's limits are no fault of the spec file
        known = isinstance(error, NorpmError)
        unread = str(error)[:200] if known else "the parser does not know a form that it uses"
        readings = _Readings(*[_read_plain(lines)] * 2, unread=unread)
    return readings.summary(stem)


class _Readings:
    """Two readings of a spec file.

    Args:
        first: With the known macros.
        second: With other values for all macros that the file does not define.
        unread: Why the parser could not read the file, so that only tags without macros were read.
    """

    def __init__(self, first: _Reading, second: _Reading, *, unread: str = "") -> None:
        self.first, self.second, self.unread = first, second, unread
        self.warnings: list[str] = []

    def summary(self, stem: str) -> dict[str, object]:
        """Return the answer; see ``inspect``."""
        if self.unread:
            self.warnings.append(f"Only tags without macros were read: {self.unread}")
        core = {tag: self._core(tag) for tag in _CORE}
        if not core["name"] and self._may_have_more():
            core["name"] = stem
            self.warnings.append(f"Name is only known at build time; taken to be {stem}")
        missing = [name for name in _CORE if not core[name]]
        if missing and not self._may_have_more():
            raise Refused("spec_incomplete", f"it has no {', '.join(map(str.capitalize, missing))}")
        self.warnings += [f"{name.capitalize()} is only known at build time" for name in missing]
        preamble, rest = self.first.preamble, self.first.rest
        packages, listed = _sections(rest, core["name"], preamble)
        certain = {(file[0], file[1]) for file in self.second.preamble.files}
        files = [[tag, value, unsure or (tag, value) not in certain] for tag, value, unsure in preamble.files]
        wanted = [one for text in preamble.buildrequires for one in requirements(text)]
        arches = preamble.tags.get("buildarch", preamble.tags.get("buildarchitectures", ""))
        return {
            **{tag: text[:_MAX_VALUE] for tag, text in core.items()},
            "name_certain": self._is_certain("name"),
            "epoch": preamble.tags.get("epoch", "")[:_MAX_VALUE],
            "files": (files + listed)[:_MAX_VALUES],
            "buildrequires": wanted[:_MAX_VALUES],
            "buildarches": arches.split(),
            "packages": packages[:_MAX_VALUES],
            "dist": self._has_dist(),
            "warnings": self.warnings,
        }

    def _is_certain(self, tag: str) -> bool:
        """Return whether both readings found the same value without unknown macros."""
        here, there = (reading.preamble.tags.get(tag, "") for reading in (self.first, self.second))
        return bool(here) and here == there and "%" not in here and not self.unread

    def _core(self, tag: str) -> str:
        """Return a mandatory tag, and add a warning if it is uncertain."""
        here, there = (reading.preamble.tags.get(tag, "") for reading in (self.first, self.second))
        value = here or there or self.first.elsewhere.get(tag, "")
        if tag != "release" and value and (here != there or "%" in value):
            self.warnings.append(f"{tag.capitalize()} is only known at build time: {value[:200]}")
        return value

    def _may_have_more(self) -> bool:
        """Return whether the preamble contains a macro that may expand to tags at build time."""
        lines = [*_before_sections(self.first.rest), *_before_sections(self.second.rest)]
        return bool(self.unread) or any(map(_MAYBE_TAGS.fullmatch, lines)) or any(map(_INCLUDE.match, lines))

    def _has_dist(self) -> bool:
        """Return whether the release contains %dist, or may contain it at build time."""
        here, there = (reading.preamble.tags.get("release", "") for reading in (self.first, self.second))
        return not here or "%" in here or here != there


def _toplevel(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line with whether it is part of the spec file itself, not of a macro's body."""
    depth, inside = 0, False
    for line in text.splitlines():
        yield line, not inside
        if inside or _DEFINITION.match(line) or "%{" in line:
            depth = max(0, depth + line.count("{") - line.count("}"))
            inside = depth > 0 or (line.endswith("\\") and (inside or bool(_DEFINITION.match(line))))


def _until(end: re.Pattern[str], lines: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """Yield the lines before a section."""
    return takewhile(lambda one: not (one[1] and end.match(one[0])), lines)


def _include(text: str, included: dict[str, str]) -> str:
    """Replace inclusions by the content of the files; macro files become definitions."""
    lines = []
    for line in text.splitlines():
        include, load = _INCLUDE.fullmatch(line), _LOAD.fullmatch(line)
        if include and include[1] in included:
            lines.append(included[include[1]])
        elif load and load[1] in included:
            lines.append(re.sub(r"^%(?=[A-Za-z_])", "%global ", included[load[1]], flags=re.MULTILINE))
        else:
            lines.append(line)
    return "\n".join(lines)


def _check_conditionals(lines: Iterable[tuple[str, bool]]) -> None:
    """Check that conditionals match, as rpm does.

    Raises:
        Refused: They do not; the message names the line.
    """
    opened: list[tuple[int, str]] = []
    for number, (line, toplevel) in enumerate(lines, 1):
        match = _CONDITIONAL.match(line) if toplevel else None
        if match is None:
            continue
        word, expression = match[1], match[2].strip()
        if word not in ("else", "endif") and not expression:
            raise Refused("spec_invalid", f"line {number}: %{word} has no expression")
        if word.startswith("if"):
            opened.append((number, ""))
        elif not opened:
            raise Refused("spec_invalid", f"line {number}: %{word} has no %if")
        elif word == "endif":
            opened.pop()
        elif opened[-1][1] == "else":
            raise Refused("spec_invalid", f"line {number}: %{word} follows %else")
        else:
            opened[-1] = opened[-1][0], word
    if opened:
        raise Refused("spec_invalid", f"line {opened[-1][0]}: an %if has no %endif")


def _plain_conditionals(lines: Iterable[tuple[str, bool]]) -> str:
    """Replace %elif, %ifos and %ifnos by %if and %else, which norpm supports."""
    written: list[str] = []
    more: list[int] = []
    for line, toplevel in lines:
        match = _CONDITIONAL.match(line) if toplevel else None
        word, expression = (match[1], match[2]) if match else ("", "")
        if word.startswith("if"):
            more.append(0)
        if word.startswith("elif") and more:
            more[-1] += 1
            written.append("%else")
            word = word.removeprefix("el")
        if word in ("ifos", "ifnos"):
            word, expression = "if", f" {int(('linux' in expression.split()) is (word == 'ifos'))}"
        written.append(f"%{word}{expression}" if match else line)
        if word == "endif" and more:
            written += ["%endif"] * more.pop()
    return "\n".join(written)


def _readings(head: str, macros: dict[str, str]) -> _Readings:
    first = _expand(head, macros, arch=_ARCHES[0])
    others = dict.fromkeys(first.undefined - macros.keys(), "1")
    others |= {"dist": _DIST, "_arch": _ARCHES[1], "_target_cpu": _ARCHES[1]}
    try:
        second = _expand(head, macros | others, arch=_ARCHES[1])
    except (Refused, MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 - with these values it cannot be read, so that nothing is certain
        second = _Reading(_Preamble(_Registry(_ARCHES[1])), "", set())
    if not all(first.preamble.tags.get(tag) for tag in _CORE):
        first.elsewhere = _expand(head, macros, arch=_ARCHES[0], every_branch=True).preamble.tags
    return _Readings(first, second)


def _read_plain(lines: Iterable[tuple[str, bool]]) -> _Reading:
    """Read only tags without macros; the results are uncertain."""
    preamble = _Preamble(MacroRegistry())
    before = takewhile(lambda one: not _SECTION.match(one[0]), lines)
    for match in (_PLAIN_TAG.match(line) for line, toplevel in before if toplevel):
        if match and preamble.add(match[1].lower(), match[2].strip()):
            preamble.files[-1][2] = True
    return _Reading(preamble, "", set())


class _Preamble(ParserHooks):
    """Collects tags: norpm calls the hooks for each line whose conditions are met."""

    def __init__(self, registry: MacroRegistry, *, every_branch: bool = False) -> None:
        self.registry = registry
        # norpm then expands all branches.
        self.sniff_mode = every_branch
        self.tags: dict[str, str] = {}
        self.files: list[list[object]] = []
        self.buildrequires: list[str] = []
        self._file_found = False

    def tag_found(self, tag: str, value: str, _raw: str) -> None:
        """Add a tag (hook of norpm)."""
        self._file_found = self.add(tag, value)
        if tag == "url":
            self.registry["url"] = value

    def tag_conditions(self, _tag: str, conditions: list[str]) -> None:
        """Mark a file as conditional (hook of norpm)."""
        if self._file_found and conditions:
            self.files[-1][2] = True

    def add(self, tag: str, value: str) -> bool:
        """Add a tag, and return whether it was a source or a patch."""
        if _FILE_TAG.fullmatch(tag):
            self.files.append([tag.capitalize(), value[:_MAX_VALUE], False])
            return True
        if tag == "buildrequires":
            self.buildrequires.append(value)
        else:
            self.tags[tag] = value
        return False


class _Registry(MacroRegistry):
    """Macros, and the names of undefined macros that were looked up."""

    def __init__(self, arch: str) -> None:
        super().__init__()
        self.target = arch
        self.undefined: set[str] = set()

    def __contains__(self, name: str) -> bool:
        known = bool(super().__contains__(name))
        if not known and name not in BUILTINS and _NAME.fullmatch(name):
            self.undefined.add(name)
        return known


class _Reading:
    """A spec file read under one environment.

    Args:
        rest: The text after expansion.
        undefined: Names of undefined macros that were looked up.

    Attributes:
        elsewhere: Tags of all branches, used if mandatory tags are missing in the evaluated ones.
    """

    def __init__(self, preamble: _Preamble, rest: str, undefined: set[str]) -> None:
        self.preamble, self.rest, self.undefined = preamble, rest, undefined
        self.elsewhere: dict[str, str] = {}


def _expand(text: str, macros: dict[str, str], *, arch: str, every_branch: bool = False) -> _Reading:
    registry = _Registry(arch)
    macrofile_parse(_MACROS, registry)
    registry.known_norpm_hacks()
    for name, value in macros.items():
        registry[name] = value
    preamble = _Preamble(registry, every_branch=every_branch)
    rest = specfile_expand(text + "\n", registry, preamble)
    return _Reading(preamble, rest, registry.undefined)


def _before_sections(text: str) -> Iterator[str]:
    return takewhile(lambda line: not _SECTION.match(line), text.splitlines())


def _sections(text: str, name: str, preamble: _Preamble) -> tuple[list[str], list[list[object]]]:
    """Return the names of the packages, and the files of ``%sourcelist`` and ``%patchlist``."""
    packages, listed, section = [name], [], ""
    for line in map(str.strip, text.splitlines()):
        if match := _SECTION.match(line):
            section = match[1]
            if section == "package":
                packages.append(_package_name(match[2].split(), name))
        elif section in ("sourcelist", "patchlist") and line and not line.startswith("#"):
            listed.append([section.removesuffix("list").capitalize(), line[:_MAX_VALUE], True])
        elif section == "package":
            tag, colon, value = line.partition(":")
            if colon and tag.strip().lower() == "buildrequires":
                preamble.add("buildrequires", value.strip())
    return packages, listed


def _package_name(words: list[str], name: str) -> str:
    if "-n" in words[:-1]:
        return words[words.index("-n") + 1][:_MAX_VALUE]
    return f"{name}-{words[0]}"[:_MAX_VALUE] if words else name


def requirements(text: str) -> list[str]:
    """Split ``a >= 1, b (c if d)`` into requirements."""
    words, word, depth = [], "", 0
    for letter in text + " ":
        depth += (letter == "(") - (letter == ")")
        if depth <= 0 and (letter == "," or letter.isspace()):
            words.append(word)
            word = ""
        else:
            word += letter
    found: list[str] = []
    for word in filter(None, words):
        if found and (word in _COMPARISONS or found[-1].rsplit(" ", 1)[-1] in _COMPARISONS):
            found[-1] += " " + word
        else:
            found.append(word)
    return found


def _answer(request: dict[str, Any]) -> dict[str, object]:
    try:
        return {
            "spec": inspect(request["text"], request["stem"], request["macros"], request.get("included", {}))
        }
    except Refused as error:
        return {"code": error.args[0], "reason": error.args[1]}
    except MemoryError:
        return {"code": "spec_over_bounds", "reason": "it needs too much memory"}
    except RecursionError:
        return {"code": "spec_over_bounds", "reason": "its macros are nested too deeply"}


def _forbid(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to open files, start processes or connect (audit hook)."""
    # norpm redirects messages of libc's getopt to /dev/null.
    if event == "open" and arguments[0] == "/dev/null":
        return
    if event == "open" or event.startswith(("os.", "subprocess.", "socket.", "pty.", "shutil.", "glob.")):
        raise Refused("spec_invalid", f"it tries {event}, which is not allowed")


def _bound(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _allow_processor(seconds: int) -> None:
    """Set the limit of processor time to ``seconds`` more than were used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main(processor: int, memory: int) -> None:
    """Answer requests until stdin ends.

    Args:
        processor: Seconds of processor time for each spec file.
        memory: Bytes of address space.
    """
    _bound(memory)
    # The first expansion imports modules, which the audit hook forbids afterwards.
    _expand("Name: warm\n%if 1\n%endif\n", {}, arch=_ARCHES[0])
    sys.addaudithook(_forbid)
    for line in sys.stdin.buffer:
        _allow_processor(processor)
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
