"""Start PostgreSQL for a benchmark, on a free port of the loopback interface."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track_utility = on
shared_buffers = 512MB
max_connections = 50
"""


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def programs() -> Path:
    """Return the folder of the newest installed PostgreSQL's programs.

    Raises:
        SystemExit: PostgreSQL is not installed.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    if folders:
        return folders[-1]
    if found:
        return Path(found).resolve().parent
    raise SystemExit("PostgreSQL is missing: apt-get install postgresql")


@contextmanager
def postgres(folder: Path | None = None) -> Iterator[tuple[str, int]]:
    """Run a server; yield the url of its database ``mbs`` and its process id.

    Args:
        folder: Folder of its data, which is kept and reused; None for a temporary one.
    """
    kept = folder is not None
    place = folder or Path(tempfile.mkdtemp(prefix="mbs-bench-"))
    place.mkdir(parents=True, exist_ok=True)
    data, port, run = place / "data", free_port(), _runner(place)
    new = not data.exists()
    if new:
        run("initdb", "-D", str(data), "-A", "trust", "-U", "mbs", "-E", "UTF8", "--locale=C.UTF-8")
        with (data / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
    run("pg_ctl", "-D", str(data), "-o", f"-p {port}", "-l", str(place / "log"), "-w", "start")
    try:
        if new:
            run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "mbs", "mbs")
        yield f"postgresql://mbs@127.0.0.1:{port}/mbs", int((data / "postmaster.pid").read_text().split()[0])
    finally:
        run("pg_ctl", "-D", str(data), "-m", "fast", "-w", "stop")
        if not kept:
            shutil.rmtree(place)


def _runner(place: Path) -> Callable[..., None]:
    """Return a function that runs PostgreSQL's programs, as the user postgres if this user is root."""
    prefix: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(place, "postgres", "postgres")
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]

    def run(program: str, *arguments: str) -> None:
        command = [*prefix, str(programs() / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=place)

    return run
