"""``mbs-manager build_module_locally``: build a module file on this machine.

Its options are described in docs/contract/rest.md, "rpkg".
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mbs.client.local.plan import LocalBuildRequest, choices
from mbs.client.local.run import build_locally
from mbs.errors import MBSError


class Command(BaseCommand):
    """Build a module file in a service that is started for this build alone."""

    help = "Build a module file on this machine, in a service that is started for this build alone."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options of MBS 3.9.2."""
        parser.add_argument("--file", type=Path, required=True, help="the modulemd file")
        parser.add_argument("--stream", default="", help="stream of the module, if the file names none")
        parser.add_argument(
            "--srpm", action="append", default=[], help="not supported: builds from source RPMs"
        )
        parser.add_argument("--skiptests", action="store_true", help="skip the %%check sections")
        parser.add_argument(
            "--offline", action="store_true", help="no effect: local builds never ask another service"
        )
        parser.add_argument(
            "-l",
            "--add-local-build",
            action="append",
            default=[],
            metavar="N:S[:V]",
            help="an earlier local build that this module may use",
        )
        parser.add_argument(
            "-s",
            "--set-stream",
            action="append",
            default=[],
            metavar="N:S",
            help="which stream of a module to build against, if there are several",
        )
        parser.add_argument(
            "-r",
            "--platform-repo-file",
            action="append",
            default=[],
            metavar="FILE",
            help="no effect: builds use the packages installed on this machine",
        )
        parser.add_argument(
            "-p",
            "--platform-id",
            default="",
            metavar="PLATFORM",
            help="stream of the base module (default: from the file, or that of this machine)",
        )

    def handle(self, *_: Any, verbosity: int, **given: Any) -> None:
        """Build the module.

        Raises:
            CommandError: The build failed, or cannot start.
        """
        if given["srpm"]:
            raise CommandError(
                "Builds from source RPMs are not supported. Name commits in the modulemd file."
            )
        for path in given["platform_repo_file"]:
            self.stderr.write(f"{path} is ignored: builds use the packages installed on this machine.")
        with open(os.devnull, "w") as nowhere:
            try:
                request = LocalBuildRequest(
                    file=given["file"],
                    stream=given["stream"],
                    add=given["add_local_build"],
                    streams=choices(given["set_stream"]),
                    platform=given["platform_id"],
                    skip_tests=given["skiptests"],
                )
                succeeded = build_locally(
                    request, say=self.stdout.write, progress=sys.stdout if verbosity else nowhere
                )
            except MBSError as error:
                problems = [problem.message for problem in error.problems]
                raise CommandError("\n".join(filter(None, (error.message, *problems, error.hint)))) from error
        if not succeeded:
            raise CommandError("The module build failed.")
