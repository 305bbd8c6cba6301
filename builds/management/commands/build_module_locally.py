"""``mbs-manager build_module_locally``: build a module file on this machine.

Source of its options: docs/contract/rest.md, "rpkg".
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mbs.client.local.plan import Wish, choices
from mbs.client.local.run import build_locally
from mbs.errors import MBSError


class Command(BaseCommand):
    help = "Build a module file on this machine, in a service that runs for this build alone."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, required=True, help="the modulemd document")
        parser.add_argument("--stream", default="", help="stream of the module, unless the document says it")
        parser.add_argument("--srpm", action="append", default=[], help="a source RPM instead of a component")
        parser.add_argument("--skiptests", action="store_true", help="skip the %%check sections")
        parser.add_argument(
            "--offline", action="store_true", help="no other module builder is ever asked here"
        )
        parser.add_argument(
            "-l",
            "--add-local-build",
            action="append",
            default=[],
            metavar="N:S[:V]",
            help="a module that was built so before, and that this one may use",
        )
        parser.add_argument(
            "-s",
            "--set-stream",
            action="append",
            default=[],
            metavar="N:S",
            help="the stream of a module to build against, where there is a choice",
        )
        parser.add_argument(
            "-r",
            "--platform-repo-file",
            action="append",
            default=[],
            metavar="FILE",
            help="repositories of the base module; packages of this machine are used instead",
        )
        parser.add_argument(
            "-p",
            "--platform-id",
            default="",
            metavar="PLATFORM",
            help="stream of the base module; else the document's, or the one of this machine",
        )

    def handle(self, *_: Any, verbosity: int, **given: Any) -> None:
        if given["srpm"]:
            raise CommandError("Builds from source RPMs are not supported: name commits in the document.")
        for path in given["platform_repo_file"]:
            self.stderr.write(f"{path} is not read: components are built with what is installed here.")
        with open(os.devnull, "w") as nowhere:
            try:
                wish = Wish(
                    file=given["file"],
                    stream=given["stream"],
                    add=given["add_local_build"],
                    streams=choices(given["set_stream"]),
                    platform=given["platform_id"],
                    skip_tests=given["skiptests"],
                )
                succeeded = build_locally(
                    wish, say=self.stdout.write, progress=sys.stdout if verbosity else nowhere
                )
            except MBSError as error:
                problems = [problem.message for problem in error.problems]
                raise CommandError("\n".join(filter(None, (error.message, *problems, error.hint)))) from error
        if not succeeded:
            raise CommandError("The module was not built.")
