"""The state of the whole service, for the start page of the admin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Min, Q, QuerySet

from builds.models import AuditEntry, LoadSample, ModuleBuild, OutboxMessage, Sweep, Wait
from builds.selectors.metrics import ENDED_COUNTS
from mbs.nsvc import PARTS
from mbs.states import BuildState

#: Waits and audit entries on the page.
MAX_WAITS, MAX_ENTRIES = 8, 12
#: The time that the plots show.
PERIOD = timedelta(days=1)


@dataclass(frozen=True)
class Outbox:
    """Numbers of unpublished bus messages.

    Attributes:
        length: Messages that the bus has not confirmed.
        oldest: When the oldest of these was written.
        set_aside: Messages that cannot be published.
    """

    length: int
    oldest: datetime | None
    set_aside: int


@dataclass(frozen=True)
class Hour:
    """Numbers of builds in one hour.

    Attributes:
        begin: Beginning of the hour.
        submitted: Builds that were submitted.
        ready: Builds that became ready.
        failed: Builds that failed.
        canceled: Builds that were canceled.
    """

    begin: datetime
    submitted: int = 0
    ready: int = 0
    failed: int = 0
    canceled: int = 0


def builds_by_state() -> dict[BuildState, int]:
    """Return the number of builds in each state; counts of final states may be some seconds old."""
    ended = ENDED_COUNTS[ModuleBuild]
    others = [state for state in BuildState if state not in ended.states]
    rows = ModuleBuild.objects.filter(state__in=others).order_by().values_list("state")
    counts = {**ended.counts(), **dict(rows.annotate(Count("pk")))}
    return {state: counts.get(state, 0) for state in BuildState}


def oldest_waits() -> list[Wait]:
    """Return the waits of active runs that last for longest."""
    rows = Wait.objects.filter(run=F("module_build__run")).order_by("created_at", "pk")
    columns = ("key", "what", "wakes_on", "created_at", "woken_at", "component_build__package")
    builds = (f"module_build__{column}" for column in PARTS)
    return list(rows.select_related("module_build", "component_build").only(*columns, *builds)[:MAX_WAITS])


def outbox() -> Outbox:
    """Return the numbers of unpublished bus messages."""
    waiting = Q(set_aside_at=None)
    found = OutboxMessage.objects.filter(published_at=None).aggregate(
        length=Count("pk", filter=waiting),
        oldest=Min("created_at", filter=waiting),
        set_aside=Count("set_aside_at"),
    )
    return Outbox(**found)


def sweeps() -> Mapping[str, Sweep]:
    """Return the rows of all sweeps that have run, by name."""
    return {sweep.name: sweep for sweep in Sweep.objects.all()}


def latest_actions() -> list[AuditEntry]:
    """Return the latest entries of the audit list."""
    rows = AuditEntry.objects.select_related("module_build").order_by("-pk")
    builds = (f"module_build__{column}" for column in PARTS)
    return list(rows.only("time", "who", "via", "action", "subject", "detail", *builds)[:MAX_ENTRIES])


def hours(now: datetime) -> list[Hour]:
    """Return the numbers of builds in each of the last 24 hours, the present one last, in two statements."""
    last = _hour(now)
    begins = [last - timedelta(hours=back) for back in reversed(range(24))]
    submitted = _per_hour(ModuleBuild.objects.filter(time_submitted__gte=begins[0]), "time_submitted")
    ended: Counter[tuple[datetime, str]] = Counter()
    # Retired builds are left out: their retirement has changed the time.
    kept = (BuildState.READY, BuildState.FAILED)
    rows = ModuleBuild.objects.filter(time_completed__gte=begins[0], state__in=kept).order_by()
    for time, state, code in rows.values_list("time_completed", "state", "error_code"):
        if time is not None:
            ended[_hour(time), _kind(state, code)] += 1
    return [
        Hour(each, submitted[each], ended[each, "ready"], ended[each, "failed"], ended[each, "canceled"])
        for each in begins
    ]


def samples(now: datetime) -> Sequence[tuple[datetime, int, int, float]]:
    """Return time, building and waiting components, and age of the oldest wait, of the last day's samples."""
    rows = LoadSample.objects.filter(time__gte=now - PERIOD, time__lte=now).order_by("time")
    return list(rows.values_list("time", "building", "waiting", "oldest_wait"))


def _per_hour(rows: QuerySet[ModuleBuild], column: str) -> Counter[datetime]:
    # Truncated here: SQLite would call a function of Django for each row, which takes longer.
    return Counter(map(_hour, rows.order_by().values_list(column, flat=True)))


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _kind(state: int, code: str) -> str:
    if code == "canceled":
        return "canceled"
    return "failed" if state == BuildState.FAILED else "ready"
