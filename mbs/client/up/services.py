"""The programs of the standalone service, and what they are told through their environment."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import mbs
from mbs.client.rest import API_VERSION, ROOT
from mbs.client.up.child import Program
from mbs.errors import Conflict

#: The folder of ``manage.py``, ``celeryconfig.py`` and ``config``: a checkout, or where it was installed.
HOME = Path(next(iter(mbs.__path__))).resolve().parent
REDIS_CONFIGURATION = "redis.conf"
BROKER_FILE = "broker-url"
PORT_FILE = "port"
LOOPBACK = "127.0.0.1"
FAVOURITE_PORT = 8080
#: Ports that are tried after the favourite one, before the kernel chooses.
FURTHER_PORTS = 20
#: The end of what a Celery worker logs once it takes tasks.
WORKER_IS_READY = " ready."
#: Warnings about what is as it should be here: builds give up root themselves; static files need no folder.
EXPECTED = ("ignore:You're running the worker with superuser", "ignore:No directory at")
#: What a user sets for the client; the service knows no such options.
CLIENT_ONLY = ("MBS_SERVER", "MBS_TOKEN", "MBS_OWNER")


def environment(data: Path, base_url: str, flower_port: int = 0) -> dict[str, str]:
    """The environment of everything that belongs to the service on a data folder.

    A section or file of the configuration that the user chose is kept.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in CLIENT_ONLY}
    chosen = {"MBS_CONFIG_SECTION": "standalone", "MBS_CONFIG_FILE": ""}
    ours = {
        "MBS_DATA_DIR": str(data),
        "MBS_BASE_URL": base_url,
        "MBS_BROKER_URL": (data / BROKER_FILE).read_text().strip(),
        "PYTHONUNBUFFERED": "1",
        # Django's checks would have every worker import the web site.
        "CELERY_SKIP_CHECKS": "1",
        "PYTHONWARNINGS": ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), *EXPECTED))),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        # Programs installed beside this Python (celery's children, git hooks) are found first.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    }
    if flower_port:
        ours["MBS_FLOWER_URL"] = f"http://{LOOPBACK}:{flower_port}"
    return chosen | inherited | ours


def web_socket(data: Path, port: int | None) -> socket.socket:
    """As ``listen``, but the port that this data folder had last comes first.

    Addresses of logs are kept with the builds, and those who watch a build come back to the same address.
    """
    path = data / PORT_FILE
    try:
        last = int(path.read_text())
    except (OSError, ValueError):
        last = FAVOURITE_PORT
    listener = listen(port, favourite=last)
    path.write_text(f"{listener.getsockname()[1]}\n")
    path.chmod(0o600)
    return listener


def listen(port: int | None, *, favourite: int = FAVOURITE_PORT) -> socket.socket:
    """A socket for the web server, bound already: no other program can take the port any more.

    It stays open while the web server is restarted, so that requests wait instead of being refused.

    Args:
        port: The one to use; None: the favourite one, 8080, or the next that is free.

    Raises:
        Conflict: When the port that was asked for is taken or forbidden.
    """
    free = (favourite, *range(FAVOURITE_PORT, FAVOURITE_PORT + FURTHER_PORTS), 0)
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
        hint="Choose another one with --port, or leave it out: a free one is found.",
    )


def free_port() -> int:
    """A port of the loopback interface on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def programs(
    data: Path,
    *,
    redis: Path,
    redis_port: int,
    web: socket.socket,
    build_jobs: int,
    modules: Sequence[Path] = (),
    flower_port: int = 0,
) -> list[Program]:
    """Broker, database, web, workers and beat, and Flower.

    Args:
        redis: The server's program.
        build_jobs: Local builds that run at once.
        modules: Documents of modules to be recorded as ready before anything else happens.
        flower_port: Of Flower; 0: without it.
    """
    python = sys.executable
    celery = (python, "-m", "celery", "--quiet", "-A", "config.celery")
    # Gossip and mingle are talk between workers that changes nothing here and costs a second.
    worker = (*celery, "worker", "--loglevel=info", "--without-gossip", "--without-mingle")
    port = web.getsockname()[1]
    ready = ("redis", "prepare")
    flower = (*celery, "flower", f"--conf={HOME / 'config' / 'flower.py'}", f"--port={flower_port}")
    return [
        Program("redis", (str(redis), str(data / REDIS_CONFIGURATION)), ready=lambda: answers(redis_port)),
        Program("prepare", (python, "manage.py", "prepare", "-v0", *map(str, modules)), once=True),
        Program(
            "web",
            # Clients that watch builds stay connected: they are not waited for.
            (python, "manage.py", "web", f"--fd={web.fileno()}", "--grace=2"),
            needs=ready,
            ready=lambda: is_healthy(port),
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
            umask=-1,  # it makes the buildroots that builds read
        ),
        Program(
            "builds",
            (*worker, "--queues=builds", "--hostname=builds@%h", f"--concurrency={build_jobs}"),
            needs=ready,
            says=WORKER_IS_READY,
            umask=-1,  # builds run as other users, who read what it prepares for them
        ),
        Program(
            "beat",
            (*celery, "beat", "--loglevel=warning", "--pidfile=", f"--schedule={data / 'beat-schedule'}"),
            needs=ready,
            after=("web", "workflow", "builds"),  # first those who are waited for
        ),
        *(
            [Program("flower", flower, needs=ready, ready=lambda: answers(flower_port))]
            if flower_port
            else ()
        ),
    ]


def configure_redis(data: Path, port: int) -> None:
    """Write the configuration of the service's own Redis, and its url for those who need it.

    It listens on the loopback interface, which local builds cannot reach (they have no network), and
    wants a password, which only this user can read. Nothing is kept on disk: the database of the
    service is the one truth.
    """
    password = secrets.token_urlsafe(24)
    _write_private(
        data / REDIS_CONFIGURATION,
        f"bind {LOOPBACK}\nport {port}\nrequirepass {password}\n"
        'save ""\nappendonly no\nmaxmemory-policy noeviction\n'
        f'loglevel warning\nlogfile "{data / "redis.log"}"\n',
    )
    _write_private(data / BROKER_FILE, f"redis://:{password}@{LOOPBACK}:{port}/0\n")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def is_healthy(port: int) -> bool:
    """Whether the REST API answers there."""
    url = f"http://{LOOPBACK}:{port}{ROOT}{API_VERSION}/about/"
    try:
        with _direct.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def cores(environ: Mapping[str, str]) -> int:
    """Local builds that may run at once: ``MBS_LOCAL_BUILD_JOBS``, else one for each usable core."""
    chosen = environ.get("MBS_LOCAL_BUILD_JOBS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    return len(os.sched_getaffinity(0))
