"""Commands for modulemd files that need no server: validate, upgrade."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import click

from mbs.client.options import finish
from mbs.errors import Problem
from mbs.modulemd import Locator, Verdict, dump_all, examine, name_problems, upgrade
from mbs.modulemd.errors import MAX_PROBLEMS
from mbs.modulemd.nodes import MAX_BYTES, printable

VALID, INVALID, UNREADABLE = range(3)
EXIT_CODES = """\b
Exit codes:
  0  all documents are valid
  1  a document is invalid
  2  a file cannot be read, or wrong usage
"""


@click.command(epilog=EXIT_CODES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--lenient", is_flag=True, help="Ignore unknown keys and unusual names, as an import does.")
@click.option("--strict", is_flag=True, hidden=True, help="The default; kept for scripts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list for all files.")
def validate(files: Sequence[str], lenient: bool, strict: bool, as_json: bool) -> None:
    """Check modulemd files as a submission does; - is standard input.

    For each document, print whether it is valid or the line of each error.
    """
    code = VALID
    answers: list[dict[str, Any]] = []
    for file in files:
        text = _read(file)
        code = max(code, UNREADABLE if text is None else VALID)
        answers.append({"file": file, "documents": []})
        for verdict in _verdicts(text, lenient and not strict) if text is not None else ():
            code = max(code, VALID if verdict.ok else INVALID)
            if as_json:
                answers[-1]["documents"].append(_as_json(verdict))
            else:
                _print(file, verdict)
    if as_json:
        click.echo(json.dumps(answers, indent=2))
    finish(code)


def _verdicts(text: bytes, lenient: bool) -> Iterator[Verdict]:
    """Yield the result for each document. Unless ``lenient``, names that a submission refuses are errors."""
    for verdict in examine(text, strict=not lenient):
        if verdict.draft is not None and not lenient:
            malformed = {problem.key for problem in verdict.problems}
            faults = (fault for stream in upgrade(verdict.draft) for fault in name_problems(stream))
            new = (fault for fault in faults if fault.key not in malformed)
            found = list(dict.fromkeys(islice(new, MAX_PROBLEMS)))
            if found:
                problems = (*verdict.problems, *Locator(text, verdict.index).locate(found))
                verdict = replace(verdict, problems=problems, document=None)
        yield verdict


@click.command("upgrade", epilog=EXIT_CODES)
@click.argument("file")
def upgrade_file(file: str) -> None:
    """Print the stream documents of a modulemd file as modulemd v2, in the order of the file.

    A modulemd-packager v3 document becomes one stream for each of its configurations. Errors in invalid
    documents are printed to standard error.
    """
    text = _read(file)
    if text is None:
        finish(UNREADABLE)
    code = VALID
    for verdict in examine(text, strict=False):
        if verdict.document is not None:
            click.echo(dump_all(upgrade(verdict.document)), nl=False)
        else:
            code = INVALID
            _print(file, verdict, err=True)
    finish(code)


commands: tuple[click.Command, ...] = (validate, upgrade_file)


def _read(file: str) -> bytes | None:
    """Return the content of a file, cut off above the size limit, or None after printing an error."""
    try:
        with click.open_file(file, "rb") as stream:
            content: bytes = stream.read(MAX_BYTES + 1)
            return content
    except OSError as error:
        click.echo(f"{file}: {click.style('cannot be read', fg='red')}: {error.strerror or error}", err=True)
        return None


def _print(file: str, verdict: Verdict, *, err: bool = False) -> None:
    for problem in verdict.problems:
        word = click.style("error", fg="red", bold=True)
        hint = f" {problem.hint}" if problem.hint else ""
        click.echo(
            f"{file}:{problem.line or verdict.line}: {word}: {problem.message}{hint} [{problem.code}]",
            err=err,
        )
    if verdict.ok:
        name = ":".join(printable(part) for part in (verdict.name, verdict.stream) if part)
        what = " ".join(part for part in (verdict.type, str(verdict.version), name) if part)
        click.echo(f"{file}:{verdict.line}: {click.style('ok', fg='green')}: {what}", err=err)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "index": verdict.index,
        "document": verdict.type,
        "version": verdict.version,
        "name": verdict.name,
        "stream": verdict.stream,
        "ok": verdict.ok,
        "errors": [_problem_as_json(problem, verdict) for problem in verdict.problems],
    }


def _problem_as_json(problem: Problem, verdict: Verdict) -> dict[str, Any]:
    return {
        "code": problem.code,
        "line": problem.line or verdict.line,
        "key": problem.key,
        "message": problem.message,
    }
