"""Check that the database, the broker, the workers, the timer and the build system are available."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max
from kombu.exceptions import OperationalError

from builds.broker import quick_broker
from builds.models import Sweep, clock
from mbs.errors import Unavailable

#: Seconds that every check has to respond.
TIMEOUT = 0.8
#: Checks that decide the status. An outage of the build system takes no server out of service.
REQUIRED = ("database", "broker", "worker", "beat")
#: Seconds of these that workers have to respond; the rest is for sending them the request.
PING = 0.4


def require_broker() -> None:
    """Refuse to continue without a broker.

    Raises:
        Unavailable: The broker is unavailable.
    """
    try:
        with quick_broker():
            pass
    except (OperationalError, OSError) as error:
        raise Unavailable(
            "The broker is unavailable.",
            code="broker_unavailable",
            hint="Nothing was recorded: try again later.",
        ) from error


def outdated() -> Unavailable | None:
    """Return the error of a database that lacks migrations of this version; None if it has all."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return None
    names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan)
    return Unavailable(
        f"The database is older than the service: it lacks the migrations {names}.",
        code="database_outdated",
        hint="Operators of the service run: mbs-manager migrate",
    )


def readiness() -> dict[str, str]:
    """Check everything that builds need, and return "ok" or the fault by name. Only ``REQUIRED`` ones count.

    Each check runs in its own thread. If a database or broker hangs, its thread hangs too, but the caller
    gets "does not answer" ``TIMEOUT`` seconds after the check was started. So further callers do not wait for
    a thread that hangs already, and many requests do not delay each other.
    """
    checks = {
        "database": _database,
        "broker": _broker,
        "worker": _worker,
        "beat": _beat,
        "build_system": _build_system,
    }
    for name, check in checks.items():
        if name not in _pending or _pending[name].future.done():
            _pending[name] = _Check(_threads.submit(_in_thread, check), time.monotonic() + TIMEOUT)
    running = [_pending[name] for name in checks]
    for each in running:
        wait([each.future], timeout=max(0.0, each.deadline - time.monotonic()))
    results = (each.future.result() if each.future.done() else "does not answer" for each in running)
    return dict(zip(checks, results, strict=True))


def _in_thread(check: Callable[[], str]) -> str:
    close_old_connections()
    try:
        return check()
    finally:
        connections.close_all()


@dataclass(frozen=True)
class _Check:
    """A running or ended check, and the time after which nobody waits for it."""

    future: Future[str]
    deadline: float


#: One thread for each check.
_threads = ThreadPoolExecutor(5, thread_name_prefix="health")
#: Running or latest check, by name.
_pending: dict[str, _Check] = {}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only" if connection.vendor == "postgresql" else "SELECT 1")
            if cursor.fetchone() == ("on",):
                return "read only"
        older = outdated()
    except (DatabaseError, InterfaceError):
        return "away"
    return f"{older.message} {older.hint}" if older else "ok"


def _broker() -> str:
    try:
        require_broker()
    except Unavailable:
        return "away"
    return "ok"


def _worker() -> str:
    try:
        answers = current_app.control.ping(timeout=PING, limit=1)
    except (OperationalError, OSError):
        return "cannot be asked"
    return "ok" if answers else "none answers"


def _beat() -> str:
    """Check the timer by the sweeps that it starts: the latest must be younger than 3 longest intervals."""
    options = settings.MBS
    longest = max(options.SWEEP_INTERVAL, options.POLLING_INTERVAL, options.OUTBOX_INTERVAL)
    try:
        latest = Sweep.objects.aggregate(latest=Max("started_at"))["latest"]
    except (DatabaseError, InterfaceError):
        return "cannot be asked"
    if latest is None:
        return "has never ticked"
    age = clock.now() - latest
    return "ok" if age < timedelta(seconds=3 * longest) else f"last tick {int(age.total_seconds())} s ago"


def _build_system() -> str:
    """Read the result of the sweep that asks the build system, since a request must not wait for it."""
    try:
        sweep = Sweep.objects.filter(name="build_system").first()
    except (DatabaseError, InterfaceError):
        return "cannot be asked"
    if sweep is None or sweep.started_at is None or sweep.finished_at is None:
        return "not checked yet"
    age = clock.now() - sweep.finished_at
    if sweep.error:
        return f"away: {sweep.error}"
    if age > timedelta(seconds=3 * settings.MBS.POLLING_INTERVAL):
        return f"last answer {int(age.total_seconds())} s ago"
    return "ok"
