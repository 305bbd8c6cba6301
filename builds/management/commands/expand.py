"""``mbs-manager expand FILE --universe DIR``: print the builds that a modulemd file expands to.

The modules come from a folder instead of the database.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from buildsys.module_metadata import MAX_BYTES, documents, named_modules
from mbs.errors import MBSError
from mbs.expansion import Expansion, MemoryUniverse, Request, Settings, expand
from mbs.modulemd import StreamV2, examine, parse_streams, upgrade
from mbs.text import printable


class Command(BaseCommand):
    """Expand a modulemd file."""

    help = (
        "Print the builds that a modulemd file expands to. The modulemd documents in a folder count as the "
        "ready modules, and must include base modules."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("file", type=Path, help="the modulemd file to expand")
        parser.add_argument(
            "--universe",
            type=Path,
            required=True,
            metavar="DIR",
            help="a repository with modules in its metadata, or a folder with *.yaml and *.yml files",
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--json", action="store_true", help="print the builds as a JSON list, sorted by context"
        )
        what.add_argument("--trace", action="store_true", help="also print every decision")
        parser.add_argument("--branch", default="", help="git branch of the file")
        for option, meaning in (
            ("--buildrequires", "streams of a module to build against, instead of those in the file"),
            ("--requires", "streams of a module required at run time, instead of those in the file"),
        ):
            parser.add_argument(
                option, type=_streams, action="append", default=[], metavar="NAME=STREAM,...", help=meaning
            )
        parser.add_argument(
            "--default-stream",
            type=_stream,
            action="append",
            default=[],
            metavar="NAME=STREAM",
            help="stream to use if several are possible",
        )
        parser.add_argument(
            "--local",
            action="store_true",
            help="stop if several streams are possible, as MBS 3.9.2 does locally",
        )

    def handle(self, *_: Any, file: Path, universe: Path, **options: Any) -> None:
        """Print the builds.

        Raises:
            CommandError: The file or the folder cannot be read, or the file cannot be expanded.
        """
        request = Request(
            buildrequire_overrides=dict(options["buildrequires"]),
            require_overrides=dict(options["requires"]),
            branch=options["branch"],
            default_streams=dict(options["default_stream"]),
            local=options["local"],
        )
        known = MemoryUniverse.from_documents(self._universe(universe))
        try:
            streams = parse_streams(_read(file), strict=True, name=file.stem, stream="master")
            found = expand(streams, known, Settings.from_options(settings.MBS), request)
        except MBSError as error:
            raise CommandError(printable(f"{file}: " + _message(error), "\n")) from error
        if options["json"]:
            builds = sorted((build.as_dict() for build in found.builds), key=lambda build: build["context"])
            self.stdout.write(json.dumps(builds, indent=2, ensure_ascii=False))
            return
        for line in _lines(found, options["trace"]):
            self.stdout.write(printable(line))

    def _universe(self, folder: Path) -> Iterator[StreamV2]:
        """Yield the stream documents of a folder as version 2. Invalid ones are reported and skipped."""
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder.")
        try:
            modules = named_modules(folder)
        except OSError as error:
            raise CommandError(f"{error}.") from error
        loose = sorted(each for each in folder.iterdir() if each.suffix in (".yaml", ".yml"))
        for file in [modules] if modules else loose:
            try:
                for before, text in documents(file):
                    yield from self._streams(file, before, text)
            except OSError as error:
                raise CommandError(f"{file} cannot be read: {error.strerror or error}.") from error

    def _streams(self, file: Path, before: int, text: bytes) -> Iterator[StreamV2]:
        for verdict in examine(text, strict=False, most=MAX_BYTES):
            if verdict.document is not None:
                yield from upgrade(verdict.document)
                continue
            problem = verdict.problems[0]
            line = before + (problem.line or verdict.line)
            self.stderr.write(printable(f"{file}:{line}: skipped: {problem.message}"))


def _streams(text: str) -> tuple[str, list[str]]:
    name, equals, streams = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError(f"{text!r} is not NAME=STREAM,...")
    return name, [stream for stream in streams.split(",") if stream]


def _stream(text: str) -> tuple[str, str]:
    name, _, stream = text.partition("=")
    if not name or not stream:
        raise ArgumentTypeError(f"{text!r} is not NAME=STREAM")
    return name, stream


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error


def _message(error: MBSError) -> str:
    others = [f"\n  {problem.message}" for problem in error.problems if problem.message not in error.message]
    return " ".join(filter(None, (error.message, error.hint))) + "".join(others)


def _lines(found: Expansion, trace: bool) -> Iterator[str]:
    for build in found.builds:
        yield f"{build.document.name}:{build.document.stream} in context {build.context}, built against"
        yield from (f"    {name}:{rest}" for name, rest in build.as_dict()["buildrequires"].items())
    if trace:
        yield "Decisions:"
        yield from (f"    {step.code}: {step.message}" for step in found.trace)
    elif found.rejected:
        yield "Left out:"
        yield from (f"    {message}" for message in dict.fromkeys(each.message for each in found.rejected))
