"""``mbs-manager prepare [FILE ...]``: the tables, and the modules that are to be there, by one process."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Make or update the tables, and record modules as ready: migrate and import_module in one."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", metavar="file", help="as of import_module")

    def handle(self, *_: Any, files: Sequence[str], verbosity: int, **__: Any) -> None:
        call_command("migrate", interactive=False, verbosity=verbosity, skip_checks=True)
        if files:
            call_command("import_module", *files, stdout=self.stdout)
