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

from mbs.client.local import earlier_builds
from mbs.client.local.command import FORMER_ROOT, ending, root
from mbs.client.local.plan import choices
from mbs.client.local.run import LocalBuildRequest, Run, build_locally
from mbs.client.local.srpms import choices as source_rpms
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
            "--srpm",
            action="append",
            default=[],
            metavar="[PACKAGE=]FILE",
            help="build a component from this source RPM",
        )
        parser.add_argument("--skiptests", action="store_true", help="skip the %%check sections")
        parser.add_argument("--offline", action="store_true", help="use nothing from the network")
        parser.add_argument(
            "-l",
            "--add-local-build",
            action="append",
            default=[],
            metavar="N:S[:V[:C]]",
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
        for path in given["platform_repo_file"]:
            self.stderr.write(f"{path} is ignored: builds use the packages installed on this machine.")
        with open(os.devnull, "w") as nowhere:
            try:
                request = LocalBuildRequest(
                    source=str(given["file"]),
                    stream=given["stream"],
                    add=given["add_local_build"],
                    streams=choices(given["set_stream"]),
                    platform=given["platform_id"],
                    skip_tests=given["skiptests"],
                    srpms=source_rpms(given["srpm"]),
                    offline=given["offline"],
                )
                done = build_locally(
                    request,
                    say=self.stdout.write,
                    progress=sys.stdout if verbosity else nowhere,
                    roots=(FORMER_ROOT.expanduser(), root()),
                )
            except MBSError as error:
                problems = [problem.message for problem in error.problems]
                raise CommandError("\n".join(filter(None, (error.message, *problems, error.hint)))) from error
        self._report(done)
        if not done.last.succeeded:
            raise CommandError("The module build failed.")

    def _report(self, done: Run) -> None:
        for build in done.last.builds:
            self.stdout.write(
                f"{build.nsvc} is {build.state.word}{f': {build.reason}' if build.reason else ''}"
            )
            if build.succeeded:
                self.stdout.write(f"  document    {earlier_builds.document_path(done.data, build.nsvc)}")
            for line in ending(build):
                self.stdout.write(f"  {line}")
