"""Reads spec files in a process of its own: one request per line on stdin, one answer per line on stdout.

Runs as a script, isolated from the service, which starts it with the bounds as arguments. The parser
(norpm) runs nothing by design; the audit hook makes sure of it: a spec file is code from a stranger.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from norpm.macro import MacroRegistry  # type: ignore[import-untyped]
from norpm.macrofile import macrofile_parse  # type: ignore[import-untyped]
from norpm.specfile import ParserHooks, specfile_expand  # type: ignore[import-untyped]

#: What spec files take for granted; everything else stays as it is written.
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
_SECTION = re.compile(
    r"%(package|description|sourcelist|patchlist|prep|generate_buildrequires|conf|build|install|check|clean"
    r"|pre|post|preun|postun|pretrans|posttrans|preuntrans|postuntrans|triggerin|triggerun|triggerprein"
    r"|triggerpostun|filetriggerin|filetriggerun|filetriggerpostun|transfiletriggerin|transfiletriggerun"
    r"|transfiletriggerpostun|verifyscript|files|changelog|sepolicy)(?![A-Za-z0-9_])(.*)"
)
#: Where the part of a spec file begins that holds scripts and texts, and no more facts.
_BODY = re.compile(
    r"^%(?:prep|generate_buildrequires|conf|build|install|check|files|changelog)\b.*",
    re.MULTILINE | re.DOTALL,
)
_CHANGELOG = re.compile(r"^%changelog\b.*", re.MULTILINE | re.DOTALL)
#: A macro that nobody here knows, alone on its line: it may expand to tags (``%fontpkg``).
_MAYBE_TAGS = re.compile(r"^%(?:\{(?!lua|load|include)[a-z_]\w*\}|(?!include)[a-z_]\w*)\s*")
_RELEASE = re.compile(r"^[ \t]*Release[ \t]*:(.*)$", re.MULTILINE | re.IGNORECASE)
#: %autorelease of rpmautospec brings %dist along.
_DIST = re.compile(r"%\{?\??(dist|autorelease)\b")
_MARK = ".mbs0dist0"
_OPENS = re.compile(r"^\s*%(?:if|ifarch|ifnarch|ifos|ifnos)\b", re.MULTILINE)
_CLOSES = re.compile(r"^\s*%endif\b", re.MULTILINE)
_COMPARISONS = frozenset({"<", "<=", "=", "==", ">=", ">"})
_MAX_VALUE = 4096  # characters of one value in the answer
_MAX_VALUES = 10000
_CORE = ("name", "version", "release")


class Refused(Exception):
    """The spec file cannot be used: a code, and what is wrong."""


def inspect(text: str, stem: str, macros: dict[str, str]) -> dict[str, object]:
    """What a spec file says.

    :param stem: the file's name without ``.spec``.
    :raises Refused: when a tag that every spec file has is missing, or an ``%if`` is not closed.
    :raises Exception: whatever the parser meets.
    """
    closed = _CHANGELOG.sub("", text)
    if len(_OPENS.findall(closed)) > len(_CLOSES.findall(closed)):
        raise Refused("spec_invalid", "an %if has no %endif")
    preamble, rest = _expand(_BODY.sub("", text), macros)
    warnings = []
    if not preamble.tags.get("name") and any(map(_MAYBE_TAGS.fullmatch, _before_sections(rest))):
        preamble.tags["name"] = stem
        warnings.append(f"Name is only known where it is built; taken to be {stem}")
    missing = [name.capitalize() for name in _CORE if not preamble.tags.get(name)]
    if missing:
        raise Refused("spec_incomplete", f"it has no {', '.join(missing)}")
    warnings += [
        f"{tag.capitalize()} is only known where it is built: {preamble.tags[tag][:200]}"
        for tag in ("name", "version")
        if "%" in preamble.tags[tag]
    ]
    name = preamble.tags["name"]
    packages, listed = _sections(rest, name, preamble)
    return {
        **{tag: preamble.tags.get(tag, "")[:_MAX_VALUE] for tag in (*_CORE, "epoch")},
        "files": (preamble.files + listed)[:_MAX_VALUES],
        "buildrequires": [one for text in preamble.buildrequires for one in requirements(text)][:_MAX_VALUES],
        "buildarches": preamble.tags.get("buildarch", preamble.tags.get("buildarchitectures", "")).split(),
        "packages": packages[:_MAX_VALUES],
        "dist": _has_dist(text, preamble.tags["release"], macros),
        "warnings": warnings,
    }


def _has_dist(text: str, release: str, macros: dict[str, str]) -> bool:
    """Whether the release holds %dist, or may do so where it is built."""
    if "%" in release or any(_DIST.search(line) for line in _RELEASE.findall(text)):
        return True
    # Other macros may bring it in.
    return _MARK in _expand(_BODY.sub("", text), macros | {"dist": _MARK})[0].tags.get("release", "")


class _Preamble(ParserHooks):  # type: ignore[misc]
    """Collects tags while norpm expands: its hooks are called line by line, inside the right conditions."""

    def __init__(self, registry: MacroRegistry) -> None:
        self.registry = registry
        self.tags: dict[str, str] = {}
        self.files: list[list[object]] = []
        self.buildrequires: list[str] = []
        self._file_found = False

    def tag_found(self, tag: str, value: str, _raw: str) -> None:
        self._file_found = self.add(tag, value)
        if tag == "url":
            self.registry["url"] = value

    def tag_conditions(self, _tag: str, conditions: list[str]) -> None:
        if self._file_found and conditions:
            self.files[-1][2] = True

    def add(self, tag: str, value: str) -> bool:
        """Note a tag; answers whether it was a source or a patch."""
        if _FILE_TAG.fullmatch(tag):
            self.files.append([tag.capitalize(), value[:_MAX_VALUE], False])
            return True
        if tag == "buildrequires":
            self.buildrequires.append(value)
        else:
            self.tags[tag] = value
        return False


def _expand(text: str, macros: dict[str, str]) -> tuple[_Preamble, str]:
    registry = MacroRegistry()
    macrofile_parse(_MACROS, registry)
    registry.known_norpm_hacks()
    for name, value in macros.items():
        registry[name] = value
    preamble = _Preamble(registry)
    return preamble, specfile_expand(text + "\n", registry, preamble)


def _before_sections(text: str) -> Iterator[str]:
    return takewhile(lambda line: not _SECTION.match(line), text.splitlines())


def _sections(text: str, name: str, preamble: _Preamble) -> tuple[list[str], list[list[object]]]:
    """Names of the packages, and the files of ``%sourcelist`` and ``%patchlist``."""
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
    """Split ``a >= 1, b (c if d)`` into its requirements."""
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
        return {"spec": inspect(request["text"], request["stem"], request["macros"])}
    except Refused as error:
        return {"code": error.args[0], "reason": error.args[1]}
    except MemoryError:
        return {"code": "spec_over_bounds", "reason": "it needs too much memory"}
    except RecursionError:
        return {"code": "spec_over_bounds", "reason": "its macros are nested too deeply"}
    except Exception as error:  # noqa: BLE001 - a parser on hostile input raises anything, and all of it is a refusal
        return {"code": "spec_invalid", "reason": f"{type(error).__name__}: {error}"[:300]}


def _forbid(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: from now on this process opens, starts and connects to nothing."""
    # norpm sends the complaints of libc's getopt there.
    if event == "open" and arguments[0] == "/dev/null":
        return
    if event == "open" or event.startswith(("os.", "subprocess.", "socket.", "pty.", "shutil.", "glob.")):
        raise Refused("spec_invalid", f"it wants {event}, which no spec file may")


def _bound(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _allow_processor(seconds: int) -> None:
    """Let this process use that much more processor time, on top of what it has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main(processor: int, memory: int) -> None:
    """Answer until stdin ends.

    :param processor: seconds of processor time for each spec file.
    :param memory: bytes of address space.
    """
    _bound(memory)
    _expand("Name: warm\n%if 1\n%endif\n", {})  # whatever is loaded late is loaded before the door closes
    sys.addaudithook(_forbid)
    for line in sys.stdin.buffer:
        _allow_processor(processor)
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
