"""Results of this package and of libmodulemd are equal, except for the listed differences.

docs/modulemd-differences.md gives the reason of each difference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from mbs import modulemd
from mbs.errors import Problem
from tests.mbs.modulemd.libmodulemd import Answer, Libmodulemd, as_data
from tests.mbs.modulemd.mutants import as_text, documents, files, mutants

#: How many changed documents to make.
EXAMPLES = int(os.environ.get("MODULEMD_EXAMPLES", "150"))
#: What is refused here although libmodulemd 2.14 accepts it: code and key (regular expressions).
STRICTER = [
    ("duplicate_key|buildafter_cycle|control_character|too_deep", ".*"),
    # It mixes only what RPM components say; the specification speaks of the whole document.
    ("buildafter_and_buildorder", r"data\.components\..*"),
    # It does not look at the keys after "data", nor closely at those of "obsoleted_by".
    ("unknown_key", r"[^.]*|data\.obsoleted_by\..*"),
    ("not_a_scalar", ""),
    # An empty value is a list of nothing, as in 2.15.
    ("missing_key", r"data\.license(\.module)?"),
    ("not_one_stream", r"data\.configurations.*"),
    # It writes a placeholder for the name of the module.
    ("missing_key", r"data\.module"),
    # Days after the year 9999 are no ISO 8601.
    ("invalid_value", r"data\.(servicelevels\..*\.)?eol"),
]
EMPTY_LIST = re.compile(
    r"^( *(?:rpms|content|module|arches|multilib|buildafter|whitelist):) ''$", re.MULTILINE
)
#: An error in one of these sections makes it lose its place, and forget the error: then nothing that
#: follows is judged.
FORGOTTEN = r"data\.(api|filter|demodularized|artifacts|license)(\..*)?"


@pytest.fixture(scope="module")
def libmodulemd() -> Iterator[Libmodulemd]:
    oracle = Libmodulemd()
    if not oracle.start():
        pytest.skip("libmodulemd is not installed for the system's Python (Debian: gir1.2-modulemd-2.0)")
    yield oracle
    oracle.stop()


ORIGINALS = [
    document
    for path in files()
    if path.name != "f29.yaml"
    for document in documents(path)
    if document["document"] != "modulemd-translations"
]


@pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_agrees_on_every_document_of(path: Any, libmodulemd: Libmodulemd) -> None:
    for document in documents(path):
        for strict in (True, False):
            assert disagreement(libmodulemd, as_text(document), strict=strict) == ""


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=mutants(ORIGINALS))
def test_agrees_on_changed_documents(document: Any, libmodulemd: Libmodulemd) -> None:
    for strict in (True, False):
        assert disagreement(libmodulemd, as_text(document), strict=strict) == ""


def disagreement(libmodulemd: Libmodulemd, text: str, *, strict: bool) -> str:
    """In what the two differ about a text of one document; empty when they agree, or are meant to differ."""
    (verdict,) = modulemd.examine(text, strict=strict)
    theirs = libmodulemd.ask(text, strict=strict)
    if theirs.crashed:
        # An earlier document may have spoilt its memory: only a second crash is about this one.
        theirs = libmodulemd.ask(text, strict=strict)
    if theirs.ok != verdict.ok:
        # 2.14 takes an empty value for a list of one empty name, 2.15 for an empty list: ask for the latter.
        theirs = libmodulemd.ask(EMPTY_LIST.sub(r"\1 []", text), strict=strict)
    if theirs.crashed:
        return ""
    if theirs.ok != verdict.ok:
        return "" if _is_meant(verdict, theirs) else f"libmodulemd: {theirs}; here: {verdict}"
    if verdict.document is None:
        return ""
    ours = as_data(modulemd.dump_all(_for_comparison(verdict.document)))
    mine = _comparable(ours, verdict.document)
    their = _comparable(theirs.dump, verdict.document)
    return "" if mine == their else f"libmodulemd dumps {their}; here: {mine}"


def _is_meant(verdict: modulemd.Verdict, theirs: Answer) -> bool:
    if verdict.ok:
        # It reads the value of an unknown key in there as another key, which must be a text.
        return "obsoleted_by" in theirs.error
    forgotten = any(
        problem.code in ("invalid_type", "unknown_key") and re.fullmatch(FORGOTTEN, problem.key)
        for problem in verdict.problems
    )
    return forgotten or all(map(_is_stricter, verdict.problems))


def _is_stricter(problem: Problem) -> bool:
    return any(re.fullmatch(code, problem.code) and re.fullmatch(key, problem.key) for code, key in STRICTER)


def _for_comparison(document: modulemd.Document) -> list[modulemd.Document]:
    streams = modulemd.upgrade(document)
    for stream in streams:
        stream.name = stream.name or "NAME"
        stream.stream = stream.stream or "STREAM"
    return list(streams) or [document]


def _comparable(dump: Iterable[Any], document: modulemd.Document) -> list[Any]:
    if isinstance(document, modulemd.PackagerV3):
        # libmodulemd writes the default profiles, too.
        dump = [each for each in dump if each["document"] == "modulemd"]
    return sorted((_without_losses(each, document) for each in dump), key=repr)


def _without_losses(dumped: Any, document: modulemd.Document) -> Any:
    """Without what libmodulemd 2.14 is known to lose from this document."""
    if isinstance(document, modulemd.PackagerV3):
        # The contract says that the context is static; libmodulemd does not write that.
        dumped.pop("static_context", None)
    if isinstance(document, modulemd.StreamV1):
        # Of "eol" and the service level "rawhide" the later one wins there; here it is "eol".
        dumped.pop("servicelevels", None)
    if isinstance(document, modulemd.Defaults):
        # An intent without a stream or profiles takes over another's.
        if not all(each.stream is not None and each.profiles for each in document.intents.values()):
            dumped.pop("intents", None)
        return dumped
    if isinstance(document, modulemd.Obsoletes | modulemd.Translations):
        return dumped
    if _has_mixed_list(document.xmd):
        dumped.pop("xmd", None)
    components = [*document.rpm_components.values(), *document.module_components.values()]
    if any(not -(2**31) <= each.buildorder < 2**31 for each in components):
        dumped.pop("components", None)
    return dumped


def _has_mixed_list(xmd: Any) -> bool:
    """Whether there is a list whose items are not all of one kind (lists of lists: of one depth)."""
    if isinstance(xmd, dict):
        return any(map(_has_mixed_list, xmd.values()))
    if not isinstance(xmd, list):
        return False
    return len({_kind(item) for item in xmd}) > 1 or any(map(_has_mixed_list, xmd))


def _kind(item: Any) -> str:
    if isinstance(item, list):
        return f"[{_kind(item[0]) if item else ''}]"
    return "flag" if item in ("TRUE", "FALSE") else type(item).__name__
