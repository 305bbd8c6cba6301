"""Commands for modulemd files: validate, upgrade."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import click

from mbs.client.options import finish
from mbs.client.rest import Client, Refused
from mbs.errors import Problem
from mbs.modulemd import Locator, Verdict, dump_all, examine, name_problems, upgrade
from mbs.modulemd.errors import MAX_PROBLEMS
from mbs.modulemd.nodes import MAX_BYTES, printable

VALID, INVALID, UNREADABLE = range(3)
#: Statuses of a server that refuses the content of a submission.
_ABOUT_THE_FILE = (400, 404, 409, 422)
EXIT_CODES = """\b
Exit codes:
  0  all documents are valid
  1  a document is invalid
  2  a file cannot be read, or wrong usage
"""
SERVER_EXIT_CODES = f"""{EXIT_CODES}  3  the server cannot be reached, or does not accept the credentials
"""


@click.command(epilog=SERVER_EXIT_CODES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--lenient", is_flag=True, help="Ignore unknown keys and unusual names, as an import does.")
@click.option("--strict", is_flag=True, hidden=True, help="The default; kept for scripts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list for all files.")
@click.option("--server", metavar="URL", help="Also have this server check each file, as `mbs plan` does.")
@click.option("--token", envvar="MBS_TOKEN", default="", help="Bearer token for the server. [env: MBS_TOKEN]")
def validate(
    files: Sequence[str], lenient: bool, strict: bool, as_json: bool, server: str | None, token: str
) -> None:
    """Check modulemd files as a submission does; - is standard input.

    For each document, print whether it is valid or the line of each error.

    Only a server can check that the required streams exist and have no conflict, that components, commits
    and spec files exist, that its options allow their repositories, the keys of xmd and the names, and that
    the module was not built already. With --server, it checks this too, and records and builds nothing.
    """
    if server is not None and lenient:
        raise click.UsageError("--server checks as a submission does: leave --lenient out.")
    code = VALID
    answers: list[dict[str, Any]] = []
    for file in files:
        text = _read(file)
        code = max(code, UNREADABLE if text is None else VALID)
        answers.append({"file": file, "documents": []})
        found = answers[-1]["documents"]
        for verdict in _verdicts(text, lenient and not strict) if text is not None else ():
            found.append(_as_json(verdict))
            code = max(code, VALID if verdict.ok else INVALID)
            if not as_json:
                _print(file, verdict)
        if server is not None and text is not None and all(each["ok"] for each in found):
            refused = _refused(server, token, text)
            code = max(code, INVALID if refused else VALID)
            answers[-1]["server"] = refused or {"ok": True}
            if not as_json:
                _print_server(file, refused)
    if as_json:
        click.echo(json.dumps(answers, indent=2))
    finish(code)


def _refused(server: str, token: str, text: bytes) -> dict[str, Any] | None:
    """Return why a server would refuse a submission of a file; None if it would not.

    Raises:
        MBSError: The server cannot be reached, or did not check the file.
    """
    try:
        with Client(server, token=token) as client:
            client.plan({"modulemd": text.decode("utf-8", "replace")})
    except Refused as error:
        if error.status not in _ABOUT_THE_FILE:
            raise
        problems = [each.as_dict() for each in error.problems]
        return {
            "ok": False,
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "problems": problems,
        }
    return None


def _print_server(file: str, refused: dict[str, Any] | None) -> None:
    if refused is None:
        click.echo(f"{file}: {click.style('ok', fg='green')}: the server would accept it")
        return
    word = click.style("error", fg="red", bold=True)
    for each in refused["problems"] or [refused]:
        hint = f" {each['hint']}" if each.get("hint") else ""
        place = f"{file}:{each['line']}" if each.get("line") else file
        text = printable(f"{each['message']}{hint} [{each['code']}]")
        click.echo(f"{place}: {word}: server: {text}")


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
