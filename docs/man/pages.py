"""Write the source of the manual pages, as reStructuredText, from the commands themselves."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

_COMMANDS = Path(__file__).resolve().parents[2] / "builds" / "management" / "commands"


@dataclass(frozen=True)
class Page:
    """A manual page.

    Attributes:
        name: Its name, such as ``mbs-watch``.
        section: Section of the manual.
        summary: The line that ``apropos`` shows.
        text: Its source.
    """

    name: str
    section: int
    summary: str
    text: str


def write(folder: Path) -> list[Page]:
    """Write the source of all pages to a folder, and return the pages."""
    from mbs.client.cli import main

    found = [*_command(main, ("mbs",), None), _manager()]
    folder.mkdir(exist_ok=True)
    for page in found:
        # No page belongs to a table of contents.
        (folder / f"{page.name}.{page.section}.rst").write_text(f":orphan:\n\n{page.text}", "utf-8")
    return found


def _command(command: click.Command, names: tuple[str, ...], parent: click.Context | None) -> Iterator[Page]:
    context = click.Context(command, info_name=names[-1], parent=parent)
    paragraphs = re.split(r"\n\s*\n", (command.help or "").replace("\b\n", "").strip())
    name = "-".join(names)
    lines = [*_title(name, "="), *_title("Synopsis"), "::", ""]
    lines += [f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}", ""]
    lines += [*_title("Description"), *(f"{_plain(' '.join(each.split()))}\n" for each in paragraphs)]
    records = [each.get_help_record(context) for each in command.get_params(context)]
    options = [each for each in records if each and each[1]]
    if options:
        lines += _title("Options")
        for left, right in options:
            lines += [f"``{left}``", f"    {_plain(' '.join(right.split()))}", ""]
    children = []
    if isinstance(command, click.Group):
        lines += _title("Commands")
        for each in command.list_commands(context):
            child = command.get_command(context, each)
            if child is not None and not child.hidden:
                children.append((each, child))
                lines += [f"**{name}-{each}**\\(1)", f"    {_plain(child.get_short_help_str(200))}", ""]
    for block in filter(None, (command.epilog or "").replace("\b\n", "").split("\n\n")):
        lines += _block(block)
    if parent is None:
        lines += ["", *_title("See also"), "**mbs-manager**\\(8)", ""]
    else:
        lines += ["", *_title("See also"), f"**{'-'.join(names[:-1])}**\\(1)", ""]
    yield Page(name, 1, command.get_short_help_str(200).rstrip("."), "\n".join(lines))
    for each, child in children:
        yield from _command(child, (*names, each), context)


def _block(text: str) -> list[str]:
    """Return the sections of an epilog: lines ``Title:``, each with indented lines below it."""
    lines: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            title = line.rstrip(":")
            lines += ["", *_title("Exit status" if title == "Exit codes" else title)]
            continue
        left, _, right = line.strip().partition("  ")
        if left:
            lines += [f"``{left}``", f"    {_plain(right.strip())}", ""]
    return lines


def _manager() -> Page:
    """Return the page of ``mbs-manager``, with the commands of the service."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django
    from django.core.management import load_command_class

    django.setup()
    summary = "Run and administer the Module Build Service"
    lines = [
        *_title("mbs-manager", "="),
        *_title("Synopsis"),
        "::",
        "",
        "    mbs-manager COMMAND [OPTIONS]",
        "",
    ]
    lines += [
        *_title("Description"),
        "``mbs-manager COMMAND --help`` describes the options of a command.",
        "",
    ]
    lines += _title("Commands")
    for path in sorted(_COMMANDS.glob("[!_]*.py")):
        text = load_command_class("builds", path.stem).help.split("\n\n")[0]
        lines += [f"``{path.stem}``", f"    {_plain(' '.join(text.split()))}", ""]
    lines += ["``migrate``", "    Create or upgrade the tables of the database.", ""]
    lines += [*_title("See also"), "**mbs**\\(1)", ""]
    return Page("mbs-manager", 8, summary, "\n".join(lines))


def _title(text: str, line: str = "-") -> list[str]:
    return [text, line * len(text), ""]


def _plain(text: str) -> str:
    """Return a text whose characters are not interpreted."""
    return re.sub(r"([\\*`_|])", r"\\\1", text)
