"""Subjects of the commits between the components of two builds, read from git by a task and kept.

A comparison shows the subjects that are stored. For missing ones it has a task read them, so no request waits
for a git server.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.db.models import Q

from builds import dispatch
from builds.models import CommitRange, ComponentBuild, ModuleBuild, clock
from mbs.errors import MBSError
from scm.history import subjects
from scm.options import ScmOptions

log = logging.getLogger(__name__)

TASK = "check.commits"
#: Repositories that are read for a comparison, and seconds after which the rest is left out.
MAX_RANGES, _MAX_SECONDS = 40, 30.0
#: Min time between two tasks of all processes together: comparisons need no login, and the checks of
#: submissions use the same workers. One repository may take 30 seconds more, so at most two tasks run.
_PAUSE = timedelta(seconds=30)
#: Key of the row with the time of the last task; other rows have hashes as keys.
_LAST_TASK = "last task"
#: Tasks that a process sends for one client in a period of seconds, so that others get some, too.
_SHARE, _PERIOD = 5, 600
#: Max ranges that are stored. A module with n builds has n * (n - 1) comparisons.
_MAX_STORED = 20_000
#: Time after which a range that could not be read is read again, and after which ranges are deleted.
_AGAIN, _KEPT = timedelta(hours=6), timedelta(days=90)


def ranges(old: ModuleBuild, new: ModuleBuild) -> dict[str, tuple[str, str, str]]:
    """Return repository, old and new commit by package, for components with another commit."""
    rows = ComponentBuild.objects.filter(build_time_only=False).values_list("package", "scmurl", "ref")
    before = {package: (url, ref) for package, url, ref in rows.filter(module_build=old)}
    found = {}
    for package, url, ref in rows.filter(module_build=new).order_by("package"):
        was = before.get(package)
        if was and url and ref and was[0] == url and was[1] and was[1] != ref:
            found[package] = (url, was[1], ref)
    return found


def stored(pairs: Mapping[str, tuple[str, str, str]]) -> dict[str, CommitRange]:
    """Return the ranges that were read or tried, by package."""
    keys = {CommitRange.key_of(*pair): package for package, pair in list(pairs.items())[:MAX_RANGES]}
    return {keys[row.key]: row for row in CommitRange.objects.filter(key__in=list(keys))}


def request(old: ModuleBuild, new: ModuleBuild, client: str) -> bool:
    """Have a task read the missing ranges of a comparison, unless too many were requested recently.

    Args:
        old: The older build.
        new: The newer build.
        client: Address of the client; empty: unknown.

    Returns:
        Whether a task was sent now or recently.
    """
    if old.name != new.name:
        return False
    key, period = f"commits-{old.pk}-{new.pk}", f"commits-of-{client}-{int(time.time()) // _PERIOD}"
    if cache.get(key):
        return True
    # A request beyond the limits adds nothing to the cache, which logins use too.
    if (client and cache.get(period, 0) >= _SHARE) or not _take_turn():
        return False
    cache.set(key, 1, _PERIOD)
    cache.set(period, cache.get(period, 0) + 1, _PERIOD)
    dispatch.send_quickly(TASK, old.pk, new.pk)
    return True


def _take_turn() -> bool:
    """Return whether a task may be sent now; the database decides it for all processes."""
    now = clock.now()
    rows = CommitRange.objects.filter(key=_LAST_TASK)
    # A time in the future was written while a clock was wrong.
    due = Q(read_at__lt=now - _PAUSE) | Q(read_at__gt=now + _PAUSE)
    if rows.filter(due).update(read_at=now):
        return True
    if rows.exists():
        return False
    return CommitRange.objects.get_or_create(key=_LAST_TASK, defaults={"read_at": now})[1]


def read(old_id: int, new_id: int) -> None:
    """Read the missing ranges of a comparison from git, for a bounded time."""
    builds = ModuleBuild.objects.in_bulk([old_id, new_id])
    if len(builds) < 2:
        return
    pairs = ranges(builds[old_id], builds[new_id])
    _make_room()
    ends = time.monotonic() + _MAX_SECONDS
    for pair in _missing(pairs):
        if time.monotonic() > ends:
            return
        _read(*pair)


def _make_room() -> None:
    """Delete old ranges, and the oldest ones beyond the max number."""
    CommitRange.objects.filter(read_at__lt=clock.now() - _KEPT).delete()
    rows = CommitRange.objects.order_by("-read_at")
    limit = rows.values_list("read_at", flat=True)[_MAX_STORED - MAX_RANGES : _MAX_STORED - MAX_RANGES + 1]
    if found := list(limit):
        CommitRange.objects.filter(read_at__lte=found[0]).delete()


def _missing(pairs: Mapping[str, tuple[str, str, str]]) -> Iterable[tuple[str, str, str]]:
    found, before = stored(pairs), clock.now() - _AGAIN
    for package, pair in list(pairs.items())[:MAX_RANGES]:
        row = found.get(package)
        if row is None or (row.subjects is None and row.read_at < before):
            yield pair


def _read(url: str, old: str, new: str) -> None:
    key = CommitRange.key_of(url, old, new)
    CommitRange.objects.update_or_create(key=key, defaults={"read_at": clock.now()})
    try:
        found = subjects(url, old, new, ScmOptions.from_options(settings.MBS))
    except MBSError as error:
        log.info("The commits %s..%s of %s cannot be read: %s", old, new, url, error.message)
        return
    texts = [[each.commit, each.text] for each in found.found]
    CommitRange.objects.filter(key=key).update(subjects=texts, more=found.more)
