"""``mbs-manager prepare [FILE ...]``: migrate the database and import modules, in one process."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Run ``migrate`` and ``import_module``."""

    help = "Migrate the database, then import modules: migrate and import_module in one process."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the files."""
        parser.add_argument(
            "files", nargs="*", metavar="file", help="a modulemd file to import, see import_module"
        )

    def handle(self, *_: Any, files: Sequence[str], verbosity: int, **__: Any) -> None:
        """Migrate, then import the files."""
        call_command("migrate", interactive=False, verbosity=verbosity, skip_checks=True)
        if files:
            call_command("import_module", *files, stdout=self.stdout)
