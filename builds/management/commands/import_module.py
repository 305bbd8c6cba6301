"""``mbs-manager import_module FILE``: record a module that was built elsewhere as ready."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from builds.services.importing import import_module
from mbs.errors import MBSError


class Command(BaseCommand):
    help = "Record a module that was built elsewhere, such as a base module, as ready."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="its modulemd document, with name, stream and version")

    def handle(self, *_: Any, file: Path, **__: Any) -> None:
        try:
            _, messages = import_module(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except MBSError as error:
            raise CommandError(" ".join(filter(None, (f"{file}: {error.message}", error.hint)))) from error
        for message in messages:
            self.stdout.write(message)
