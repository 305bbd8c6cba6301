"""The command ``mbs up``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from mbs.client.address import Running, data_dir, lock, publish, withdraw
from mbs.client.options import SUCCESS, TROUBLE
from mbs.client.rest import Client
from mbs.client.up.log import Log
from mbs.client.up.needs import check_installed, check_machine, find_redis
from mbs.client.up.platform import NAME as PLATFORM
from mbs.client.up.platform import offered
from mbs.client.up.services import (
    HOME,
    LOOPBACK,
    Listener,
    Loopback,
    Private,
    configure_redis,
    cores,
    environment,
    free_port,
    programs,
    socket_folder,
    web_socket,
)
from mbs.client.up.supervisor import Supervisor
from mbs.errors import MBSError

#: The service's database, below the data folder.
DATABASE = "mbs.sqlite3"

DATA = click.option(
    "--data",
    metavar="FOLDER",
    help="Folder for all data. "
    "[env: MBS_DATA_DIR; default: .data in a checkout, otherwise $XDG_DATA_HOME/mbs]",
)


@click.command()
@DATA
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of the web server. [default: the last one, otherwise 8080 or the next free one]",
)
@click.option(
    "--import",
    "modules",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="Import a module that was built elsewhere, such as a base module. Repeatable.",
)
@click.option(
    "--host-platform/--no-host-platform",
    default=None,
    help="Record a base module for this machine, or do not ask whether to. "
    "[default: ask on a terminal when there is no base module]",
)
@click.option("--flower", is_flag=True, help="Also run Flower, which shows workers and tasks.")
@click.option(
    "--private",
    is_flag=True,
    help="Listen on Unix sockets that other users of this machine cannot reach, instead of a port. "
    "Browsers cannot reach them either.",
)
def up(
    data: str | None,
    port: int | None,
    modules: tuple[Path, ...],
    host_platform: bool | None,
    flower: bool,
    private: bool,
) -> None:
    """Run the whole service on this machine, until Ctrl-C.

    It consists of web server, workers, timer and Redis, uses an SQLite database in the data folder, and
    builds with rpmbuild. Only this machine can reach it. It needs neither configuration nor root.

    Exit codes: 0 stopped by request, 2 already running or port in use, 3 something is missing or a program
    keeps failing.
    """
    folder = data_dir(data)
    if host_platform is None and modules:
        host_platform = False
    if private and (port or flower):
        raise click.UsageError("--private cannot be combined with --port or --flower.")
    offer = offered(folder, host_platform, database=folder / DATABASE)
    given = (*((offer,) if offer else ()), *modules)
    done = run(folder, port, modules=given, flower=flower, private=private)
    sys.exit(SUCCESS if done else TROUBLE)


def run(
    data: Path,
    port: int | None,
    *,
    modules: Sequence[Path] = (),
    flower: bool = False,
    private: bool = False,
) -> bool:
    """Run the service on a data folder, and return whether it was stopped by request.

    Args:
        modules: modulemd files to import as ready modules.
        flower: Run Flower too.
        private: Listen on Unix sockets instead of ports.

    Raises:
        MBSError: It cannot start.
    """
    check_installed()
    redis = find_redis()
    with ExitStack() as stack:
        stack.callback(os.close, lock(data))
        check_machine(os.environ.get("MBS_SYSTEM", "local"), data)
        listener: Listener
        if private:
            listener = Private(stack.enter_context(socket_folder(data)))
        else:
            listener = Loopback(stack.enter_context(web_socket(data, port)))
        service = Running(listener.base_url, os.getpid(), str(data))
        flower_port = free_port() if flower else 0
        configure_redis(data, listener)
        children = programs(
            data,
            redis=redis,
            listener=listener,
            build_jobs=cores(os.environ),
            modules=modules,
            flower_port=flower_port,
        )
        log = Log(sys.stdout, [program.name for program in children])
        stack.callback(withdraw, service)
        return Supervisor(
            children,
            log,
            environment=environment(data, service.base_url, flower_port),
            folder=HOME,
            descriptors=listener.descriptors,
            on_ready=announcement(service, log, flower_port),
        ).run()


def lacking_base_module(base_url: str) -> list[str]:
    """Return lines that say how to get a base module, when the service has none."""
    try:
        with Client(base_url, timeout=5) as client:
            known = next(client.builds({"name": PLATFORM, "state": "ready"}, limit=1), None)
    except MBSError:
        return []
    if known:
        return []
    return [
        "  base module  none yet, and every module is built on one:",
        "               mbs import PLATFORM.yaml, or start with `mbs up --host-platform`",
    ]


def announcement(service: Running, log: Log, flower_port: int = 0) -> Callable[[], None]:
    """Return a function that prints how to use the service, and publishes its address for other commands."""

    def announce() -> None:
        publish(service)
        for line in (
            "",
            f"Module Build Service is ready at {service.base_url}",
            f"  data folder  {service.data}",
            *(lacking_base_module(service.base_url)),
            *([f"  Flower       http://{LOOPBACK}:{flower_port}"] if flower_port else ()),
            "  submit       mbs submit --branch BRANCH 'https://HOST/PATH?#COMMIT' --watch",
            "               mbs submit MODULE.yaml --watch",
            "  stop         Ctrl-C",
            "",
        ):
            log.write("mbs", line)

    return announce
