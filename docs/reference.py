"""Make the reference pages that come from the code: errors, states, the command line, metrics."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Name of a class in the code -> type of its metric.
_METRICS = {"Counter": "counter", "Histogram": "histogram", "Family": "gauge"}
PACKAGES = ("mbs", "scm", "buildsys", "builds", "config")


def write(folder: Path) -> None:
    """Write all pages.

    :param folder: where they go; made unless it is there.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    folder.mkdir(exist_ok=True)
    pages = {"errors": errors, "states": states, "command-line": command_line, "metrics": metrics}
    for name, make in pages.items():
        text = f"<!-- Made by docs/reference.py -->\n{make()}"
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


@dataclass(frozen=True, order=True)
class Code:
    """A code with what its error says where it is raised."""

    code: str
    cause: str
    remedy: str


def errors() -> str:
    """Return the page of all error codes, read from where errors are made."""
    rows = sorted({code for path in _sources() for code in _codes(path)})
    lines = [
        "# Errors",
        "",
        "Every error has a code, which stays the same when its text changes: in answers of the API, on failed"
        " builds (`error.code`), and in the command line's JSON. `...` stands for what the message names.",
        "",
        "| code | message | what to do |",
        "|---|---|---|",
    ]
    lines += [f"| `{row.code}` | {_cell(row.cause)} | {_cell(row.remedy)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def _codes(path: Path) -> Iterator[Code]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            named = {word.arg: _text(word.value) for word in node.keywords if word.arg}
            code, message = named.get("code", ""), _text(node.args[0]) if node.args else ""
            if code.isidentifier() and message:
                yield Code(code, message, named.get("hint", ""))


def _text(node: ast.expr) -> str:
    """Return the text that an expression makes, with ``...`` for what is only known when it runs."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(_text(part) for part in node.values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
    return "..."


def _cell(text: str) -> str:
    # Angle brackets would be read as HTML, braces and bars by the table.
    for letter, shown in (
        ("\n", " "),
        ("|", "\\|"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("*", "\\*"),
        ("$", "\\$"),
    ):
        text = text.replace(letter, shown)
    return "" if text == "..." else text


def states() -> str:
    """Return the page of states and transitions, made from the table in ``mbs.states``."""
    from mbs.states import TRANSITIONS, BuildState, ComponentState

    lines = ["# States", "", "Made from the table in `mbs/states.py`.", "", "## Module builds", ""]
    lines += ["| number | state | may become |", "|---|---|---|"]
    for state in BuildState:
        later = ", ".join(each.word for each in sorted(TRANSITIONS[state])) or "(nothing)"
        lines.append(f"| {int(state)} | `{state.word}` | {later} |")
    lines += ["", "## Component builds", "", "| number | state |", "|---|---|"]
    lines += [f"| {int(each)} | `{each.name}` |" for each in ComponentState]
    return "\n".join(lines) + "\n"


def command_line() -> str:
    """Return the page of the command line: the help of every command of ``mbs``."""
    import click

    from mbs.client.cli import main

    lines = ["# Command line", ""]

    def show(command: click.Command, names: tuple[str, ...], parent: click.Context | None) -> None:
        context = click.Context(command, info_name=names[-1], parent=parent, max_content_width=100)
        lines.extend([f"## {' '.join(names)}", "", "```text", command.get_help(context), "```", ""])
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None and not child.hidden:
                    show(child, (*names, name), context)

    show(main, ("mbs",), None)
    return "\n".join(lines)


def metrics() -> str:
    """Return the page of all metrics, read from where they are made."""
    rows = sorted({row for path in (ROOT / "builds").rglob("*.py") for row in _metrics(path)})
    lines = [
        "# Metrics",
        "",
        "What they mean together, and how to scrape them: [monitoring](../monitoring.md).",
        "",
    ]
    lines += ["| metric | type | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {_cell(text)} |" for name, kind, text in rows]
    return "\n".join(lines) + "\n"


def _metrics(path: Path) -> Iterator[tuple[str, str, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            kind = _METRICS.get(node.func.id)
            if kind:
                yield _text(node.args[0]), kind, _text(node.args[1])
