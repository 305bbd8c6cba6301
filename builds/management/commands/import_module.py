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
    """Import modulemd files."""

    help = "Record modules that were built elsewhere as ready, such as a base module."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the files."""
        parser.add_argument(
            "files",
            type=Path,
            nargs="+",
            metavar="file",
            help="a modulemd file with name, stream and version; put base modules first",
        )

    def handle(self, *_: Any, files: Sequence[Path], **__: Any) -> None:
        """Import the files in order.

        Raises:
            CommandError: A file cannot be imported. Files before it were imported.
        """
        for file in files:
            try:
                messages = import_module(file.read_text(encoding="utf-8"))[1]
            except (OSError, UnicodeDecodeError) as error:
                raise CommandError(f"{file} cannot be read: {error}") from error
            except MBSError as error:
                text = " ".join(filter(None, (f"{file}: {error.message}", error.hint)))
                raise CommandError(printable(text, "\n")) from error
            for message in messages:
                self.stdout.write(printable(message))
