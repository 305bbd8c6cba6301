"""``mbs-manager import_module FILE ...``: record modules that were built elsewhere as ready."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from builds.services.module_import import import_module
from mbs.errors import MBSError
from mbs.text import printable


class Command(BaseCommand):
    help = "Record modules that were built elsewhere, such as a base module, as ready."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files",
            type=Path,
            nargs="+",
            metavar="file",
            help="a modulemd document, with name, stream and version; base modules come first",
        )

    def handle(self, *_: Any, files: Sequence[Path], **__: Any) -> None:
        for file in files:
            try:
                _, messages = import_module(file.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                raise CommandError(f"{file} cannot be read: {error}") from error
            except MBSError as error:
                said = " ".join(filter(None, (f"{file}: {error.message}", error.hint)))
                raise CommandError(printable(said, "\n")) from error
            for message in messages:
                self.stdout.write(printable(message))
