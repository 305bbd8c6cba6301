"""Run a command with a temporary PostgreSQL server: ``python -m tests.postgresql COMMAND...``.

The server stores its data in a temporary folder, listens on loopback, and ends with the command.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import free_port


def programs() -> Path:
    """Return the folder of ``initdb`` and ``pg_ctl``, which Debian does not put into the PATH."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not versions:
        sys.exit("There is no PostgreSQL server here: deploy/system-packages test")
    return versions[-1]


@contextmanager
def server() -> Iterator[str]:
    """Run a server with an empty database; yield its url."""
    # The server refuses to run as root.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="mbs-postgresql-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        data, port, binaries = Path(folder) / "data", free_port(), programs()
        data.mkdir(mode=0o700)
        shutil.chown(data, user)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [binaries / program, "-D", data, *arguments],
                user=user if os.getuid() == 0 else None,
                cwd="/",
                check=True,
                stdout=subprocess.DEVNULL,
            )

        run("initdb", "--auth=trust", "--username=mbs", "--no-sync")
        options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "start", "--wait", "--options", options, "--log", str(data / "log"))
        try:
            yield f"postgresql://mbs:unused@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--mode=immediate")


def main(command: list[str]) -> int:
    """Run the command and return its exit code."""
    with server() as url:
        process = subprocess.Popen(command, env={**os.environ, "MBS_DATABASE_URL": url})
        # Pass on SIGTERM, so that the command and the server end too.
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
