"""Find the server: the one the user names, otherwise the user's standalone service on this machine.

``mbs up`` writes ``server.json`` into its data folder, and into the folder where the other commands look
first (``MBS_DATA_DIR`` or the default). It holds a lock on its data folder while it runs, which distinguishes
a running service from the files of a crashed one.
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
#: Attempts to get the lock, which ``is_locked`` of another process may hold for a moment.
LOCK_TRIES = 5


class NoServer(MBSError):
    """No server is named, and none runs on this machine."""

    code = "no_server"


@dataclass(frozen=True)
class Running:
    """A running standalone service: its address, the process of its supervisor, and its data folder."""

    base_url: str
    pid: int
    data: str


def default_data_dir() -> Path:
    """Return ``.data`` in a checkout, otherwise ``$XDG_DATA_HOME/mbs``; ``mbs-manager`` uses the same folder.

    As the XDG Base Directory Specification demands, relative values are ignored.
    """
    if (CHECKOUT / "pyproject.toml").is_file():
        return CHECKOUT / ".data"
    home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "share"
    return base / "mbs"


def data_dir(chosen: str | None) -> Path:
    """Return the absolute data folder: from the option ``--data``, from ``MBS_DATA_DIR``, or the default."""
    given = chosen or os.environ.get("MBS_DATA_DIR")
    return Path(given).resolve() if given else default_data_dir()


def running(data: Path) -> Running | None:
    """Return the service in the ``server.json`` of a data folder, or None if it does not run."""
    try:
        found = Running(**json.loads((data / SERVER_FILE).read_text()))
        return found if is_locked(Path(found.data)) else None
    except (OSError, ValueError, TypeError):
        return None


def publish(service: Running) -> None:
    """Write ``server.json``, so that other commands find the service."""
    own, looked_at = Path(service.data), data_dir(None)
    _write(own, service)
    shown = running(looked_at)
    if looked_at != own and (shown is None or shown == service):
        with suppress(OSError):  # without this file, users must name the server
            _write(looked_at, service)


def withdraw(service: Running) -> None:
    """Delete the files of ``publish``, unless another service has replaced them."""
    for folder in {Path(service.data), data_dir(None)}:
        if running(folder) == service:
            (folder / SERVER_FILE).unlink(missing_ok=True)


def _write(folder: Path, service: Running) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / f".{SERVER_FILE}.{service.pid}"
    temporary.write_text(json.dumps(asdict(service)) + "\n")
    temporary.replace(folder / SERVER_FILE)


def find_server(chosen: str | None) -> tuple[str, bool]:
    """Return the server's address, and whether it is the user's own standalone service.

    Args:
        chosen: ``--server`` or ``MBS_SERVER``.

    Raises:
        NoServer: No server is named, and none runs on this machine.
    """
    if chosen:
        return chosen, False
    for folder in dict.fromkeys((data_dir(None), default_data_dir())):
        service = running(folder)
        if service:
            return service.base_url, True
    raise NoServer(
        "No server is named, and no Module Build Service runs on this machine.",
        hint="Start one with `mbs up`, or name one with --server URL or MBS_SERVER.",
    )


def lock(data: Path) -> int:
    """Lock a data folder for the lifetime of this process, and return the open descriptor.

    Raises:
        Conflict: A service already runs on the folder.
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
        f"A service already runs on {data}{where}.",
        code="already_running",
        hint="Use it, stop it, or choose another folder with --data.",
    )


def is_locked(data: Path) -> bool:
    """Return whether a service runs on the data folder."""
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
