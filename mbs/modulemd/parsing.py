"""Parse the text of a file into documents.

The keys ``document`` and ``version`` of each document select the reader of its ``data``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from mbs.errors import Problem
from mbs.modulemd.documents import Document, StreamV2
from mbs.modulemd.errors import MAX_PROBLEMS, ModulemdError, Problems
from mbs.modulemd.fields import Fields
from mbs.modulemd.nodes import MAX_BYTES, Mapping, Tree, clip, trees
from mbs.modulemd.others import read_defaults, read_obsoletes, read_translations
from mbs.modulemd.streams import read_packager_v2, read_packager_v3, read_stream_v1, read_stream_v2
from mbs.modulemd.upgrading import upgrade

_READERS: dict[tuple[str, int], Callable[[Fields], Document]] = {
    ("modulemd", 1): read_stream_v1,
    ("modulemd", 2): read_stream_v2,
    ("modulemd-stream", 1): read_stream_v1,
    ("modulemd-stream", 2): read_stream_v2,
    ("modulemd-packager", 2): read_packager_v2,
    ("modulemd-packager", 3): read_packager_v3,
    ("modulemd-defaults", 1): read_defaults,
    ("modulemd-obsoletes", 1): read_obsoletes,
    ("modulemd-translations", 1): read_translations,
}


@dataclass
class Verdict:
    """The result of examining one document of a file.

    Attributes:
        index: Number in the file, from 0.
        type: The key ``document``; empty if it could not be read.
        version: The key ``version``; None if it could not be read.
        document: None if there are problems.
    """

    index: int
    line: int
    type: str = ""
    version: int | None = None
    name: str = ""
    stream: str = ""
    document: Document | None = None
    #: The document with the parts that could be read, also when there are problems.
    draft: Document | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the document is valid."""
        return not self.problems


def examine(text: str | bytes, *, strict: bool, most: int = MAX_BYTES) -> Iterator[Verdict]:
    """Yield a verdict on each document of a file, without raising exceptions.

    If the file is empty, too large or not YAML, the last verdict says so.

    Args:
        most: Max bytes of the file; by default the limit of a submission.
    """
    number = 0
    try:
        for tree in trees(text, most):
            yield _judge(number, tree, strict)
            number += 1
        if not number:
            yield Verdict(0, 1, problems=(Problem("no_documents", "The file contains no document.", line=1),))
    except ModulemdError as error:
        yield Verdict(number, error.problems[0].line or 1, problems=error.problems)


def parse(text: str | bytes, *, strict: bool) -> list[Document]:
    """Return all documents of a file.

    Args:
        strict: Refuse unknown keys, as for a submission. Otherwise ignore them, as for an import.

    Raises:
        ModulemdError: A document is invalid; ``problems`` lists all problems up to a limit.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for verdict in examine(text, strict=strict):
        problems += verdict.problems[: MAX_PROBLEMS - len(problems)]
        if verdict.document is not None:
            documents.append(verdict.document)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise ModulemdError.of(problems)
    return documents


def parse_stream(text: str | bytes, *, strict: bool, name: str = "", stream: str = "") -> StreamV2:
    """Return the only stream of a file; see ``parse_streams``.

    Raises:
        ModulemdError: The document is invalid or contains several streams (``several_streams``).
    """
    streams = parse_streams(text, strict=strict, name=name, stream=stream)
    if len(streams) > 1:
        raise _refusal(
            "several_streams", f"One stream is expected here, but there are {len(streams)} configurations."
        )
    return streams[0]


def parse_streams(text: str | bytes, *, strict: bool, name: str = "", stream: str = "") -> list[StreamV2]:
    """Return the only stream document of a file as v2; packager v3 results in several streams.

    Args:
        name: Name of the module if the document has none.
        stream: Stream of the module if the document has none.

    Raises:
        ModulemdError: The document is invalid, is not the only one (``not_one_document``), or is of another
            kind (``not_a_stream``).
    """
    streams, malformed = read_streams(text, strict=strict, name=name, stream=stream)
    if malformed:
        raise malformed
    return streams


def read_streams(
    text: str | bytes, *, strict: bool, name: str = "", stream: str = ""
) -> tuple[list[StreamV2], ModulemdError | None]:
    """Read as ``parse_streams`` does, but keep the parts that are valid.

    Args:
        text: The file.
        strict: Whether unknown keys are problems.
        name: Name of the module if the document has none.
        stream: Stream of the module if the document has none.

    Returns:
        The streams, and the error of the parts that could not be read.

    Raises:
        ModulemdError: No part can be used, or the file holds not exactly one stream document.
    """
    verdicts = list(islice(examine(text, strict=strict), MAX_PROBLEMS))
    problems = [problem for verdict in verdicts for problem in verdict.problems][:MAX_PROBLEMS]
    malformed = ModulemdError.of(problems) if problems else None
    if malformed and (len(verdicts) != 1 or verdicts[0].draft is None):
        raise malformed
    if len(verdicts) != 1 or verdicts[0].draft is None:
        raise _refusal(
            "not_one_document", f"One document is expected here, but the file contains {len(verdicts)}."
        )
    document = verdicts[0].draft
    streams = upgrade(document)
    if not streams:
        raise malformed or _refusal(
            "not_a_stream", f"A stream is expected here, but this is {document.document}."
        )
    for result in streams:
        result.name = result.name or name
        result.stream = result.stream or stream
    return streams, malformed


def _refusal(code: str, message: str) -> ModulemdError:
    return ModulemdError.of([Problem(code, message)])


def _judge(index: int, tree: Tree, strict: bool) -> Verdict:
    verdict = Verdict(index, tree.line)
    problems = tree.problems
    if tree.root is not None and type(tree.root) is not Mapping:
        problems.add("invalid_type", "A document must be a mapping.", line=tree.root.line)
    if type(tree.root) is Mapping:
        document = _read(Fields(tree.root, "", problems, strict), problems, verdict)
        verdict.document, verdict.draft = None if problems else document, document
    verdict.problems = tuple(sorted(problems.found, key=lambda problem: problem.line or 0))
    return verdict


def _read(top: Fields, problems: Problems, verdict: Verdict) -> Document | None:
    before = len(problems.found)
    verdict.type = top.text("document") or ""
    verdict.version = top.integer("version")
    data = top.mapping("data")
    for key, code in (("document", "missing_key"), ("version", "missing_key"), ("data", "no_data")):
        if key not in top:
            top.problem(code, f"The document has no {key}.", key)
    if len(problems.found) > before:
        top.close()
        return None
    reader = _READERS.get((verdict.type, verdict.version or 0))
    if reader is None:
        kinds = ", ".join(f"{kind} {version}" for kind, version in _READERS)
        top.problem(
            "unknown_document",
            f"{clip(verdict.type)} version {verdict.version} is not a known kind of document.",
            "document",
            f"Known: {kinds}.",
        )
        return None
    document = reader(data)
    top.close()
    verdict.name = str(getattr(document, "name", "") or getattr(document, "module", ""))
    verdict.stream = str(getattr(document, "stream", "") or "")
    return document
