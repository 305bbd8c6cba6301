"""The command ``mbs local``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from mbs.client import servers
from mbs.client.builds import AS_JSON
from mbs.client.endings import shown_excerpt
from mbs.client.local.arches import check_arch
from mbs.client.options import BUILD_FAILED, INTERRUPTED, SUCCESS, finish, named_server, print_json
from mbs.client.snapshot import Build
from mbs.client.up.needs import check_installed
from mbs.states import BuildState

EXIT_CODES = """\b
Exit codes:
  0  all builds are ready
  1  a build failed
  2  wrong usage, or the module cannot be built
  3  something is missing on this machine, or another error
  130  interrupted by Ctrl-C; the same command continues
"""
#: Folder of the results of MBS 3.9.2, which ``mbs-manager build_module_locally`` uses too.
FORMER_ROOT = Path("~/modulebuild/builds")


def root() -> Path:
    """Return the folder of the data folders: ``$XDG_STATE_HOME/mbs/local``."""
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "state"
    return base / "mbs" / "local"


@click.command(epilog=EXIT_CODES)
@click.argument("source", default=".", metavar="[PATH|URL]")
@click.option(
    "--file",
    metavar="FILE",
    help="Build this modulemd file as it is, instead of the document of a checkout.",
)
@click.option("--branch", default="", help="Branch of a URL without a commit.")
@click.option("--stream", default="", help="Stream of the module. [default: of the document, or the branch]")
@click.option(
    "--uncommitted",
    is_flag=True,
    help="Include changes that are not committed: of the checkout, and of checkouts on this machine that it "
    "names as repositories of components.",
)
@click.option(
    *("-s", "--set-stream", "set_streams"),
    multiple=True,
    metavar="NAME:STREAM",
    help="Build against this stream of a module that has several. Repeatable.",
)
@click.option(
    *("-p", "--platform-id", "platform"),
    default="",
    metavar="STREAM",
    help="Stream of the base module. [default: those in the document, or that of this machine]",
)
@click.option(
    *("-l", "--add-local-build", "add"),
    multiple=True,
    metavar="N:S[:V[:C]]",
    help="Build against this earlier local build. Repeatable.",
)
@click.option(
    *("--server", "--modules-from", "modules_from"),
    metavar="NAME|URL",
    help="Take required modules, with their RPMs, from this Module Build Service.",
)
@click.option(
    "--dnf",
    "host_modules",
    is_flag=True,
    help="Take required modules, with their RPMs, from the enabled dnf repositories of this machine.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="Use nothing from the network: modules and RPMs of dnf's caches, local git repositories.",
)
@click.option(
    "--srpm",
    "srpms",
    multiple=True,
    metavar="[PACKAGE=]FILE",
    help="Build a component from this source RPM. Repeatable. [default PACKAGE: of the file's name]",
)
@click.option(
    "--checkout",
    "checkouts",
    multiple=True,
    metavar="PACKAGE=FOLDER",
    help="Build a component from this git checkout: its commit, or with --uncommitted its work tree. "
    "Repeatable.",
)
@click.option("--skiptests", is_flag=True, help="Skip the %check sections.")
@click.option("--arch", default="", help="Architecture: that of this machine is the only possible one.")
@click.option("--rebuild", is_flag=True, help="Build everything again, as a new version.")
@click.option(
    *("-r", "--platform-repo-file", "repo_files"),
    multiple=True,
    metavar="FILE",
    help="Ignored, as an option of MBS 3.9.2: builds use the packages that are installed on this machine.",
)
@click.option(
    "--data",
    metavar="FOLDER",
    help="Folder for all data. [default: one for each checkout in $XDG_STATE_HOME/mbs/local]",
)
@AS_JSON
def local(
    source: str,
    file: str | None,
    branch: str,
    stream: str,
    uncommitted: bool,
    set_streams: Sequence[str],
    platform: str,
    add: Sequence[str],
    modules_from: str | None,
    host_modules: bool,
    offline: bool,
    srpms: tuple[str, ...],
    checkouts: tuple[str, ...],
    skiptests: bool,
    arch: str,
    rebuild: bool,
    repo_files: Sequence[str],
    data: str | None,
    as_json: bool,
) -> None:
    """Build the module of a checkout on this machine, without a running service.

    PATH is a git checkout (the current folder by default) or a modulemd file; URL is a repository, with
    --branch or #COMMIT. All contexts of the expansion are built, with rpmbuild. If a run is interrupted, the
    same command continues it.
    """
    check_installed("local")
    # Its modules need packages of the extra.
    from mbs.client.local import checkouts as component_checkouts
    from mbs.client.local import srpms as source_rpms
    from mbs.client.local.plan import choices
    from mbs.client.local.run import LocalBuildRequest, build_locally

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as for Ctrl-C, stop the service first
    other = modules_from or named_server()
    _check(source, file, uncommitted, arch)
    if sum(map(bool, (other, host_modules, offline))) > 1:
        raise click.UsageError("--server, --dnf and --offline exclude each other.")
    for name in repo_files:
        _note(f"{name} is ignored: builds use the packages that are installed on this machine.")
    request = LocalBuildRequest(
        source=file or source,
        branch=branch,
        stream=stream,
        uncommitted=uncommitted,
        add=add,
        streams=choices(set_streams),
        platform=platform,
        skip_tests=skiptests,
        srpms=source_rpms.choices(srpms),
        checkouts=component_checkouts.choices(checkouts),
        host_modules=host_modules,
        offline=offline,
        modules_from=servers.find(other).url if other else "",
        again=rebuild,
    )
    stream_out = sys.stderr if as_json else sys.stdout
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    try:
        done = build_locally(
            request,
            say=lambda line: print(line, file=stream_out, flush=True),
            progress=stream_out,
            roots=(root(), FORMER_ROOT.expanduser()),
            data=Path(data).resolve() if data else None,
            ask=_ask if asks else None,
        )
    except KeyboardInterrupt:
        _note("Interrupted. The same command continues; components that are finished are not built again.")
        finish(INTERRUPTED)
    for build in done.last.builds:
        for line in ending(build):
            print(line, file=stream_out)
    if as_json:
        print_json(done.builds)
    finish(SUCCESS if done.last.succeeded else BUILD_FAILED)


def _check(source: str, file: str | None, uncommitted: bool, arch: str) -> None:
    """Refuse options that contradict each other or this machine.

    Raises:
        UsageError: Options exclude each other.
        InvalidInput: Another architecture is wanted.
    """
    if file and source != ".":
        raise click.UsageError("Name a file with --file, or a checkout, not both.")
    if file and uncommitted:
        raise click.UsageError("--file takes the file as it is: leave --uncommitted out.")
    check_arch(arch)


def _ask(name: str, streams: Sequence[str]) -> str:
    """Ask for a stream of a module; of the module itself if there is no name."""
    if not name:
        return str(click.prompt("Stream of the module", type=str))
    answer = str(
        click.prompt(
            f"Build against which stream of {name}?",
            type=click.Choice([*streams, "all"]),
            default="all",
        )
    )
    return "" if answer == "all" else answer


def ending(build: Build) -> Iterator[str]:
    """Yield lines that describe the end of a build: how to install the module, or why it failed."""
    if build.state == BuildState.FAILED:
        if build.excerpt:
            yield from shown_excerpt(build.excerpt)
        for component in build.components:
            if component.failed and component.url:
                yield f"Log of {component.package}: {component.url.removeprefix('file://')}"
        yield "Next: fix it, and run the same command. Components that are finished are not built again."
    elif build.succeeded and build.repository_url:
        yield f"{build.nsvc} is in the repository {build.repository_url.removeprefix('file://')}"
        if build.install:
            yield "Install it as root:"
            yield from (f"  {command}" for command in build.install)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
