"""Check the database, the broker, the clocks and the base modules for ``mbs-manager doctor``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from redis import Redis
from redis.exceptions import RedisError

from builds.models import ModuleBuild
from builds.services import health
from mbs.errors import MBSError, Problem
from mbs.modulemd import parse_stream
from mbs.states import BuildState

#: Seconds by which clocks may differ; leases last less than a minute.
MAX_CLOCK_DIFFERENCE = 5.0
_DATABASE = "Check DATABASE_URL, and whether PostgreSQL runs and accepts this user."
_SET_CLOCKS = "Synchronise the clocks of the service's machines, the database and the broker by NTP."


@dataclass
class Findings:
    """Results of the checks.

    Attributes:
        problems: Things that an operator has to correct.
        tags: Tags of base modules in the build system.
        bare: Tags of base modules whose documents list no packages for buildroots.
    """

    problems: list[Problem] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)


def examine() -> Findings:
    """Check the database, the broker, the clocks and the base modules."""
    found = Findings(list(_broker()))
    try:
        connection.ensure_connection()
        if older := health.outdated():
            found.problems.append(Problem(older.code, older.message, hint=older.hint))
            return found
        found.problems += _clock("the database", _database_time())
        _base_modules(found)
    except (DatabaseError, InterfaceError) as error:
        message = f"The database cannot be used: {str(error).strip()[:300]}"
        found.problems.append(Problem("database_unavailable", message, hint=_DATABASE))
    return found


def _broker() -> Iterator[Problem]:
    url = str(current_app.conf.broker_url)
    if not url.startswith(("redis", "unix")):
        return
    try:
        seconds, microseconds = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5).time()
    except (RedisError, OSError, ValueError) as error:
        hint = "Check BROKER_URL, and whether Redis runs."
        yield Problem("broker_unavailable", f"Redis cannot be used: {error}", hint=hint)
        return
    yield from _clock("Redis", seconds + microseconds / 1e6)


def _database_time() -> float:
    """Return the time of the database's machine, which is this machine for SQLite."""
    if connection.vendor != "postgresql":
        return time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float(cursor.fetchone()[0])


def _clock(whose: str, moment: float) -> Iterator[Problem]:
    difference = time.time() - moment
    if abs(difference) > MAX_CLOCK_DIFFERENCE:
        word = "behind" if difference < 0 else "ahead of"
        message = f"The clock of this machine is {abs(difference):.0f} s {word} that of {whose}."
        yield Problem("clocks_differ", message, hint=_SET_CLOCKS)


def _base_modules(found: Findings) -> None:
    ready = ModuleBuild.objects.filter(name__in=settings.MBS.BASE_MODULE_NAMES, state=BuildState.READY)
    for build in ready.order_by("koji_tag", "pk"):
        if not build.koji_tag:
            if settings.MBS.SYSTEM == "koji":
                message = f"{build.nsvc} has no koji_tag, so no module can be built against it in Koji."
                hint = "Set data.xmd.mbs.koji_tag in its document (docs/koji.md) and import it again."
                found.problems.append(Problem("base_module_without_tag", message, hint=hint))
            continue
        found.tags.append(build.koji_tag)
        if not _fills_buildroots(build):
            found.bare.append(build.koji_tag)
    found.tags, found.bare = list(dict.fromkeys(found.tags)), list(dict.fromkeys(found.bare))


def _fills_buildroots(build: ModuleBuild) -> bool:
    try:
        profiles = parse_stream(build.modulemd, strict=False).profiles
    except MBSError:
        return False
    return all(name in profiles and profiles[name].rpms for name in ("buildroot", "srpm-buildroot"))
