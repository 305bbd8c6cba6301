"""Check the parts of ``xmd`` that the service uses: its notes in ``mbs``, and ``mbs_options``.

They come from imported documents and from authors of privileged modules, and become parts of tags, dist tags
and macros (docs/contract/modulemd.md, "Stream expansion", rule 7; docs/contract/koji.md, point 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mbs import names
from mbs.errors import Problem
from mbs.modulemd.nodes import printable
from mbs.names import Rule

#: Lists in ``xmd.mbs`` and in each of its ``buildrequires``: RPMs that the macros package conflicts with.
_RPM_LISTS = ("filtered_rpms", "ursine_rpms")
#: Texts in an entry of ``xmd.mbs.buildrequires``.
_REQUIRED: Mapping[str, Rule] = {
    "stream": names.STREAM,
    "context": names.CONTEXT,
    "koji_tag": names.KOJI_TAG,
    "ref": names.COMMIT,
}
_TEXTS: Mapping[str, tuple[Rule, str]] = {
    "disttag_marking": (names.MARKING, "invalid_disttag_marking"),
    "koji_tag": (names.KOJI_TAG, "invalid_koji_tag"),
    "commit": (names.COMMIT, "invalid_commit"),
}
_LISTS: Mapping[str, tuple[Rule, str]] = {
    "koji_tag_arches": (names.ARCH, "invalid_koji_tag_arches"),
    "virtual_streams": (names.STREAM, "invalid_virtual_streams"),
    **{key: (names.RPM, f"invalid_{key}") for key in _RPM_LISTS},
}
#: Max entries of a list. A base module can have some thousand filtered RPMs.
MAX_ENTRIES = 100_000
_NOTES = "data.xmd.mbs"
_OPTIONS = "data.xmd.mbs_options"


def note_faults(xmd: object) -> Iterator[Problem]:
    """Yield a problem for each of the service's notes in ``xmd`` that is malformed."""
    if not isinstance(xmd, dict) or "mbs" not in xmd:
        return
    notes = xmd["mbs"]
    if not isinstance(notes, dict):
        yield _problem("invalid_xmd", _NOTES, "It must be a mapping.")
        return
    yield from _texts(notes, _NOTES, _TEXTS)
    for key, (rule, code) in _LISTS.items():
        yield from _list(notes, _NOTES, key, rule, code)
    yield from _requirements(notes)
    rpms = notes.get("rpms", {})
    if not isinstance(rpms, dict):
        yield _problem("invalid_xmd", f"{_NOTES}.rpms", "It must map packages to their refs.")
        return
    for name in rpms:
        yield from _text(names.NAME, name, f"{_NOTES}.rpms", "invalid_name")


def option_faults(xmd: object) -> Iterator[Problem]:
    """Yield a problem for each of an author's options in ``xmd`` that is malformed.

    Stream expansion checks the form of static contexts (``mbs_options.contexts``); their names are checked
    here.
    """
    options = xmd.get("mbs_options") if isinstance(xmd, dict) else None
    if not isinstance(options, dict):
        return
    for key in ("repo_include_all", "dynamic_buildrequires"):
        value = options.get(key)
        if value is not None and not (isinstance(value, str) and value.lower() in ("true", "false")):
            yield _problem("invalid_xmd", f"{_OPTIONS}.{key}", "It must be true or false.")
    yield from _list(options, _OPTIONS, "blocked_packages", names.NAME, "invalid_name")
    contexts = options.get("contexts")
    for context, lists in contexts.items() if isinstance(contexts, dict) else ():
        for kind in ("buildrequires", "requires"):
            streams = lists.get(kind) if isinstance(lists, dict) else None
            for name, stream in streams.items() if isinstance(streams, dict) else ():
                key = f"{_OPTIONS}.contexts.{printable(context)}.{kind}.{printable(name)}"
                yield from _text(names.NAME, name, key, "invalid_name")
                # Expansion refuses other types, with a code of its own.
                if isinstance(stream, str) and stream and not stream.startswith("-"):
                    yield from _text(names.STREAM, stream, key, "invalid_stream")


def _requirements(notes: Mapping[str, Any]) -> Iterator[Problem]:
    """Check ``buildrequires``, the builds that the module was built against."""
    code, where = "invalid_buildrequires", f"{_NOTES}.buildrequires"
    required = notes.get("buildrequires", {})
    if not isinstance(required, dict) or not all(
        isinstance(info, dict) and isinstance(info.get("stream"), str) for info in required.values()
    ):
        yield _problem(code, where, "It must map names of modules to their stream, version and context.")
        return
    for name, info in required.items():
        key = f"{where}.{printable(name)}"
        yield from _text(names.NAME, name, key, code)
        yield from _texts(info, key, {each: (rule, code) for each, rule in _REQUIRED.items()})
        if "version" in info and not names.is_version(info["version"]):
            yield _problem(code, f"{key}.version", "It must be a 64-bit number in digits.")
        for each in _RPM_LISTS:
            yield from _list(info, key, each, names.RPM, code)


def _texts(notes: Mapping[str, Any], where: str, rules: Mapping[str, tuple[Rule, str]]) -> Iterator[Problem]:
    """Check texts that may be missing or empty."""
    for key, (rule, code) in rules.items():
        if notes.get(key, "") != "":
            yield from _text(rule, notes[key], f"{where}.{key}", code)


def _list(notes: Mapping[str, Any], where: str, key: str, rule: Rule, code: str) -> Iterator[Problem]:
    entries = notes.get(key, [])
    if not isinstance(entries, list):
        yield _problem(code, f"{where}.{key}", "It must be a list.")
        return
    if len(entries) > MAX_ENTRIES:
        yield _problem(code, f"{where}.{key}", f"It has more than {MAX_ENTRIES} entries.")
    for entry in entries:
        yield from _text(rule, entry, f"{where}.{key}", code)


def _text(rule: Rule, text: object, key: str, code: str) -> Iterator[Problem]:
    if fault := rule.fault(text):
        yield Problem(code, f"{key}: {fault}", key=key, hint=rule.hint)


def _problem(code: str, key: str, what: str) -> Problem:
    return Problem(code, f"{key}: {what}", key=key)
