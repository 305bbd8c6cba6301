"""Where the service is: what the user says, or else the standalone service this user runs.

A running ``mbs up`` leaves ``server.json`` in its data folder, and one in the folder where the other
commands look first (``MBS_DATA_DIR``, or the default), so that they find it without being told. The
lock on the data folder, held as long as it runs, tells a living service from what a dead one left.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mbs.errors import Conflict, MBSError

CHECKOUT = Path(__file__).resolve().parents[2]
SERVER_FILE = "server.json"
LOCK_FILE = "up.lock"
#: A look by ``is_locked`` holds the lock for a moment; a service holds it for good.
LOCK_TRIES = 5


class NoServer(MBSError):
    """Nobody said where the server is, and none runs here."""

    code = "no_server"


@dataclass(frozen=True)
class Running:
    """A standalone service: its address, the supervisor's process and the data folder."""

    base_url: str
    pid: int
    data: str


def default_data_dir() -> Path:
    """``.data`` in a checkout, else ``$XDG_DATA_HOME/mbs``: where ``mbs-manager`` looks too.

    The XDG Base Directory Specification has relative values ignored.
    """
    if (CHECKOUT / "pyproject.toml").is_file():
        return CHECKOUT / ".data"
    home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "share"
    return base / "mbs"


def data_dir(chosen: str | None) -> Path:
    """The data folder, absolute: the option ``--data``, ``MBS_DATA_DIR``, or the default."""
    given = chosen or os.environ.get("MBS_DATA_DIR")
    return Path(given).resolve() if given else default_data_dir()


def running(data: Path) -> Running | None:
    """The service whose ``server.json`` lies in a data folder, if it is alive."""
    try:
        found = Running(**json.loads((data / SERVER_FILE).read_text()))
        return found if is_locked(Path(found.data)) else None
    except (OSError, ValueError, TypeError):
        return None


def publish(service: Running) -> None:
    """Let the other commands find a service."""
    own, looked_at = Path(service.data), data_dir(None)
    _write(own, service)
    shown = running(looked_at)
    if looked_at != own and (shown is None or shown == service):
        with suppress(OSError):  # the pointer is a comfort: whoever cannot write it names the server
            _write(looked_at, service)


def withdraw(service: Running) -> None:
    """Undo ``publish``, but for what another service has published there since."""
    for folder in {Path(service.data), data_dir(None)}:
        if running(folder) == service:
            (folder / SERVER_FILE).unlink(missing_ok=True)


def _write(folder: Path, service: Running) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / f".{SERVER_FILE}.{service.pid}"
    temporary.write_text(json.dumps(asdict(service)) + "\n")
    temporary.replace(folder / SERVER_FILE)


def find_server(chosen: str | None) -> tuple[str, bool]:
    """The server's address, and whether it is this user's own standalone service.

    Args:
        chosen: ``--server`` or ``MBS_SERVER``.

    Raises:
        NoServer: When there is neither a choice nor a running service.
    """
    if chosen:
        return chosen, False
    for folder in dict.fromkeys((data_dir(None), default_data_dir())):
        service = running(folder)
        if service:
            return service.base_url, True
    raise NoServer(
        "It is not known where the Module Build Service is, and none runs here.",
        hint="Start one with `mbs up`, or name one with --server URL or MBS_SERVER.",
    )


def lock(data: Path) -> int:
    """Hold a data folder for this process and its life; answers the open descriptor.

    Raises:
        Conflict: When a service runs there already.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return descriptor
    os.close(descriptor)
    other = running(data)
    where = f" at {other.base_url} (process {other.pid})" if other else ""
    raise Conflict(
        f"A service runs on {data} already{where}.",
        code="already_running",
        hint="Use that one, stop it first, or choose another folder with --data.",
    )


def is_locked(data: Path) -> bool:
    """Whether a service holds this data folder."""
    try:
        descriptor = os.open(data / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
