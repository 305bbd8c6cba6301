"""The command ``mbs demo``."""

from __future__ import annotations

import getpass
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from mbs.client.address import Running, data_dir, running
from mbs.client.builds import components_table, print_table
from mbs.client.demo.example import PLATFORM, Example, document_path, make_repositories
from mbs.client.demo.install import finished_module, has_dnf, installed_files, run
from mbs.client.demo.service import failure, service
from mbs.client.display import duration, follow
from mbs.client.endings import ending
from mbs.client.options import BUILD_FAILED, EXIT_CODES, SUCCESS, finish
from mbs.client.rest import Client
from mbs.client.snapshot import Build
from mbs.client.up.command import DATA
from mbs.client.up.needs import check_installed
from mbs.client.watching import Snapshot, watch

#: Seconds between two requests. The demo builds take a few seconds.
INTERVAL = 0.2


@click.command(epilog=EXIT_CODES)
@click.option("--keep", is_flag=True, help="Keep the service running afterwards.")
@DATA
def demo(keep: bool, data: str | None) -> None:
    """Build an example module from git repositories into RPMs, and install it with dnf.

    Starts the standalone service unless it is running, submits a module of four packages, shows the progress
    of its batches, and stops the service again.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as for Ctrl-C, stop the service first
    check_installed()
    folder = data_dir(data)
    document_path()  # fail before the service is started if there are no examples
    say("Starting the service ...")
    with service(folder, keep=keep, modules=[PLATFORM]) as mine:
        example = make_repositories(folder / "demo")
        there = mine.ready()
        say(f"The service is at {there.base_url}; its data is in {folder}.")
        build = build_example(there, folder, example)
        if not keep:
            mine.release()  # dnf needs the files only
        if build.succeeded:
            show_result(build, folder)
        else:
            say("\n".join(ending(build, there.base_url)))
    if keep:
        say(f"The service keeps running at {there.base_url} (stop it: kill {there.pid}).")
    for line in next_steps(build, folder, keep=keep):
        say(line)
    finish(SUCCESS if build.succeeded else BUILD_FAILED)


def next_steps(build: Build, folder: Path, *, keep: bool) -> Iterator[str]:
    """Yield the lines that say what to do after the demo."""
    command = sys.argv[0] if Path(sys.argv[0]).name == "mbs" else "mbs"
    yield "\nGo on from here:"
    if not keep:
        yield f"  {command} up --data {shlex.quote(str(folder))}    the service with this build, until Ctrl-C"
    yield f"  {command} show {build.id}    in another terminal: the build, and how to install it"
    yield "  docs/tutorial.md    a module of your own, from git to dnf"


def build_example(there: Running, folder: Path, example: Example) -> Build:
    """Submit the example, display its progress, and return the finished build."""
    say(f"Submitting {example.commit.scmurl}")
    with Client(there.base_url, owner=getpass.getuser()) as client:
        body = {"scmurl": example.commit.scmurl, "branch": example.branch}
        ids = [int(build["id"]) for build in client.submit(body)]
        last = follow(while_service_runs(folder, watch(client, ids, interval=INTERVAL)), sys.stdout)
    return last.builds[0]


def while_service_runs(folder: Path, snapshots: Iterable[Snapshot]) -> Iterator[Snapshot]:
    """Yield the snapshots as long as the service runs.

    Raises:
        ServiceFailed: The service has ended.
    """
    for snapshot in snapshots:
        if snapshot.outage and running(folder) is None:
            raise failure("ended", folder)
        yield snapshot


def show_result(build: Build, folder: Path) -> None:
    """Print the built packages and their repository, and install the module with dnf."""
    say(f"\n{build.nsvc} is {build.word} after {duration(build.seconds(datetime.now(UTC)))}.\n")
    print_table(components_table(build))
    module = finished_module(folder, build.tag, folder / "demo" / "root")
    if module is None:
        return
    say(f"\nThe repository is in {module.repository}")
    if not has_dnf():
        say("dnf is not installed. This dnf command installs the module:")
        say(f"  {shlex.join(module.install)}")
        return
    for command in (module.listing, module.install):
        say(f"\n$ {shlex.join(command)}")
        say(run(command, module.root))
    say(f"\nThe files in {module.root}:")
    for path in installed_files(module.root):
        say(f"  {path}")


def say(text: str) -> None:
    """Print a line immediately."""
    click.echo(text)
    sys.stdout.flush()
