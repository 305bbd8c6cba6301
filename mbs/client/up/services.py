"""The programs of the standalone service, and their environment."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import mbs
from mbs.client.rest import API_VERSION, ROOT, Client, unix_url, web_url
from mbs.client.up.child import Program
from mbs.errors import Conflict, MBSError

#: The folder of ``manage.py``, ``celeryconfig.py`` and ``config``: a checkout, or site-packages.
HOME = Path(next(iter(mbs.__path__))).resolve().parent
REDIS_CONFIGURATION = "redis.conf"
BROKER_FILE = "broker-url"
#: Names of the sockets of a private service.
SOCKETS_FILE = "sockets"
WEB_SOCKET, REDIS_SOCKET = "web.sock", "redis.sock"
PORT_FILE = "port"
LOOPBACK = "127.0.0.1"
#: Max characters of ``XDG_RUNTIME_DIR``; paths of sockets have at most 107 characters (unix(7)).
MAX_RUNTIME = 70
TMP = "/tmp"  # noqa: S108  (mkdtemp makes a folder of this user; $TMPDIR may be too long)
PREFERRED_PORT = 8080
#: Number of ports that are tried after the preferred one, before the kernel chooses.
FURTHER_PORTS = 20
#: A Celery worker logs a line that ends with this when it accepts tasks.
WORKER_IS_READY = " ready."
#: Warnings that do not apply: builds drop root privileges themselves, and static files need no folder.
EXPECTED = ("ignore:You're running the worker with superuser", "ignore:No directory at")
#: Variables of the client, which are not options of the service.
CLIENT_ONLY = ("MBS_SERVER", "MBS_TOKEN", "MBS_OWNER")


def environment(data: Path, base_url: str, flower_port: int = 0) -> dict[str, str]:
    """Return the environment of all programs of the service on a data folder.

    The user's configuration section and file are kept.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in CLIENT_ONLY}
    chosen = {"MBS_CONFIG_SECTION": "standalone", "MBS_CONFIG_FILE": ""}
    ours = {
        "MBS_DATA_DIR": str(data),
        "MBS_BASE_URL": web_url(base_url),
        "MBS_BROKER_URL": (data / BROKER_FILE).read_text().strip(),
        "PYTHONUNBUFFERED": "1",
        # Django's checks would import the web pages in every worker.
        "CELERY_SKIP_CHECKS": "1",
        "PYTHONWARNINGS": ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), *EXPECTED))),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        # Prefer programs that are installed with this Python.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    }
    if flower_port:
        ours["MBS_FLOWER_URL"] = f"http://{LOOPBACK}:{flower_port}"
    return chosen | inherited | ours


def web_socket(data: Path, port: int | None) -> socket.socket:
    """Return a socket for the web server, preferably on the last port of this data folder.

    URLs of logs are stored with builds, and clients reconnect to the same address.
    """
    path = data / PORT_FILE
    try:
        last = int(path.read_text())
    except (OSError, ValueError):
        last = PREFERRED_PORT
    listener = listen(port, preferred=last)
    path.write_text(f"{listener.getsockname()[1]}\n")
    path.chmod(0o600)
    return listener


def listen(port: int | None, *, preferred: int = PREFERRED_PORT) -> socket.socket:
    """Return a bound socket for the web server, so that no other program can take the port.

    It stays open while the web server restarts, so that requests wait instead of being refused.

    Args:
        port: The port to use; None for the preferred one, 8080, or the next free one.

    Raises:
        Conflict: The requested port is in use or forbidden.
    """
    free = (preferred, *range(PREFERRED_PORT, PREFERRED_PORT + FURTHER_PORTS), 0)
    wanted = free if port is None else (port,)
    for number in wanted:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
        try:
            listener.bind((LOOPBACK, number))
            listener.listen(128)
        except (OSError, OverflowError) as error:
            listener.close()
            reason = str(error)
        else:
            return listener
    raise Conflict(
        f"Port {wanted[-1]} cannot be used: {reason}.",
        code="port_taken",
        hint="Choose another one with --port, or leave it out to get a free one.",
    )


def free_port() -> int:
    """Return a port of the loopback interface that is not in use."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Listener(Protocol):
    """The places where web server and Redis listen."""

    @property
    def base_url(self) -> str:
        """Return the address of the web server, for clients."""
        ...

    @property
    def web_option(self) -> str:
        """Return the option of ``mbs-manager web``."""
        ...

    @property
    def descriptors(self) -> Sequence[int]:
        """Return the open files that the web server inherits."""
        ...

    @property
    def builds_grace(self) -> float:
        """Return the seconds for running local builds when the service stops."""
        ...

    def redis_place(self, password: str) -> tuple[str, str]:
        """Return lines of Redis' configuration, and the URL of Redis."""

    def redis_answers(self) -> bool:
        """Return whether Redis accepts connections."""

    def web_is_healthy(self) -> bool:
        """Return whether the REST API answers."""


class Loopback:
    """Ports of the loopback interface, which all users of this machine can reach."""

    builds_grace = 10.0

    def __init__(self, web: socket.socket) -> None:
        """Use this bound socket for the web server, and a free port for Redis."""
        self._web = web
        self._redis_port = free_port()
        self.base_url = f"http://{LOOPBACK}:{web.getsockname()[1]}"
        self.web_option = f"--fd={web.fileno()}"
        self.descriptors = (web.fileno(),)

    def redis_place(self, password: str) -> tuple[str, str]:
        """See ``Listener``."""
        place = f"bind {LOOPBACK}\nport {self._redis_port}\n"
        return place, f"redis://:{password}@{LOOPBACK}:{self._redis_port}/0"

    def redis_answers(self) -> bool:
        """See ``Listener``."""
        return answers(self._redis_port)

    def web_is_healthy(self) -> bool:
        """See ``Listener``."""
        return is_healthy(self._web.getsockname()[1])


class Private:
    """Unix sockets in a folder that only this user can enter."""

    descriptors = ()
    builds_grace = 2.0  # a build that is stopped is built again by the next run

    def __init__(self, folder: Path) -> None:
        """Use sockets in this folder."""
        self._redis = folder / REDIS_SOCKET
        self.base_url = unix_url(str(folder / WEB_SOCKET))
        self.web_option = f"--uds={folder / WEB_SOCKET}"

    def redis_place(self, password: str) -> tuple[str, str]:
        """See ``Listener``."""
        place = f"port 0\nunixsocket {self._redis}\nunixsocketperm 700\n"
        return place, f"redis+socket://:{password}@{self._redis}?virtual_host=0"

    def redis_answers(self) -> bool:
        """See ``Listener``."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._redis)) == 0

    def web_is_healthy(self) -> bool:
        """See ``Listener``."""
        try:
            with Client(self.base_url, timeout=1) as client:
                return bool(client.about())
        except MBSError:
            return False


@contextmanager
def socket_folder(data: Path) -> Iterator[Path]:
    """Provide a folder that only this user can enter, with a path that is short enough for sockets.

    The folder of an earlier service on this data folder, which was killed, is removed.
    """
    noted = data / SOCKETS_FILE
    with suppress(OSError):
        _remove_sockets(Path(noted.read_text()))
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = os.path.isabs(runtime) and len(runtime) < MAX_RUNTIME and os.access(runtime, os.W_OK | os.X_OK)
    with tempfile.TemporaryDirectory(
        prefix="mbs-", dir=runtime if usable else TMP, ignore_cleanup_errors=True
    ) as name:
        _write_private(noted, name)
        yield Path(name)


def _remove_sockets(folder: Path) -> None:
    for name in (WEB_SOCKET, REDIS_SOCKET):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()


def programs(
    data: Path,
    *,
    redis: Path,
    listener: Listener,
    build_jobs: int,
    modules: Sequence[Path] = (),
    flower_port: int = 0,
) -> list[Program]:
    """Return the programs: Redis, database migration, web server, workers, beat and Flower.

    Args:
        redis: Path of the Redis server.
        listener: Where web server and Redis listen.
        build_jobs: Concurrent local builds.
        modules: modulemd files to import before the service starts.
        flower_port: Port of Flower; 0 to run without it.
    """
    python = sys.executable
    celery = (python, "-m", "celery", "--quiet", "-A", "config.celery")
    # Gossip and mingle are of no use here, and delay the start by a second.
    worker = (*celery, "worker", "--loglevel=info", "--without-gossip", "--without-mingle")
    ready = ("redis", "prepare")
    flower = (*celery, "flower", f"--conf={HOME / 'config' / 'flower.py'}", f"--port={flower_port}")
    return [
        Program("redis", (str(redis), str(data / REDIS_CONFIGURATION)), ready=listener.redis_answers),
        Program("prepare", (python, "manage.py", "prepare", "-v0", *map(str, modules)), once=True),
        Program(
            "web",
            # A short grace period, since clients that watch builds stay connected.
            (python, "manage.py", "web", listener.web_option, "--grace=2"),
            needs=ready,
            ready=listener.web_is_healthy,
        ),
        Program(
            "workflow",
            (
                *worker,
                "--queues=workflow,sweeps,polls,checks",
                "--hostname=workflow@%h",
                "--concurrency=2",
                "--prefetch-multiplier=4",
            ),
            needs=ready,
            says=WORKER_IS_READY,
            umask=-1,  # builds of other users read the buildroots that it creates
        ),
        Program(
            "builds",
            (*worker, "--queues=builds", "--hostname=builds@%h", f"--concurrency={build_jobs}"),
            needs=ready,
            says=WORKER_IS_READY,
            grace=listener.builds_grace,
            umask=-1,  # builds run as other users, who read the files that it prepares
        ),
        Program(
            "beat",
            (*celery, "beat", "--loglevel=warning", "--pidfile=", f"--schedule={data / 'beat-schedule'}"),
            needs=ready,
            after=("web", "workflow", "builds"),  # users wait for these
        ),
        *(
            [Program("flower", flower, needs=ready, ready=lambda: answers(flower_port))]
            if flower_port
            else ()
        ),
    ]


def configure_redis(data: Path, listener: Listener) -> None:
    """Write the configuration of Redis, and its URL for the other programs.

    Local builds cannot reach Redis, since they have no network and do not see its socket. It needs a password
    that only this user can read. It stores nothing on disk, since the service keeps its data in the database.
    """
    password = secrets.token_urlsafe(24)
    place, url = listener.redis_place(password)
    _write_private(
        data / REDIS_CONFIGURATION,
        f"{place}requirepass {password}\n"
        'save ""\nappendonly no\nmaxmemory-policy noeviction\n'
        f'loglevel warning\nlogfile "{data / "redis.log"}"\n',
    )
    _write_private(data / BROKER_FILE, f"{url}\n")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def answers(port: int) -> bool:
    """Return whether a program listens on the port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def is_healthy(port: int) -> bool:
    """Return whether the REST API answers on the port."""
    url = f"http://{LOOPBACK}:{port}{ROOT}{API_VERSION}/about/"
    try:
        with _direct.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def cores(environ: Mapping[str, str]) -> int:
    """Return the number of concurrent local builds: ``MBS_LOCAL_BUILD_JOBS``, or one per usable core."""
    chosen = environ.get("MBS_LOCAL_BUILD_JOBS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    return len(os.sched_getaffinity(0))
