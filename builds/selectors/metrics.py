"""Metrics of the database and the broker, which are the same in every process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from celery import current_app
from django.db import DatabaseError, InterfaceError
from django.db.models import Case, CharField, Count, Min, Q, Value, When
from kombu.exceptions import OperationalError
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from builds.broker import quick_broker
from builds.models import ComponentBuild, ModuleBuild, OutboxMessage, Sweep, Wait, clock
from mbs.states import ACTIVE, SETTLED, BuildState, ComponentState
from mbs.wait_keys import Kind

log = logging.getLogger(__name__)

Family = GaugeMetricFamily


class StateCollector(Collector):
    """Collect the metrics; an unavailable database or broker is reported, and the rest is still collected."""

    def collect(self) -> Iterator[Family]:
        """Yield all metrics."""
        yield from _collected("database", _of_database, (DatabaseError, InterfaceError))
        yield from _collected("broker", _of_broker, (OperationalError, OSError))


def _collected(
    what: str, read: Callable[[], Iterable[Family]], outages: tuple[type[Exception], ...]
) -> Iterator[Family]:
    try:
        families = list(read())
    except outages as error:
        log.warning("Metrics of the %s are missing: %s", what, error)
        families = []
    yield Family(f"mbs_{what}_up", f"Whether the {what} responds", value=float(bool(families)))
    yield from families


def _of_database() -> Iterator[Family]:
    now = clock.now()
    yield _by_state("mbs_builds", "Module builds", ModuleBuild, {s.word: int(s) for s in BuildState})
    states: dict[str, int | None] = {"none": None, **{s.name.lower(): int(s) for s in ComponentState}}
    yield _by_state("mbs_components", "Component builds", ComponentBuild, states)
    progress = ModuleBuild.objects.filter(state__in=ACTIVE).aggregate(oldest=Min("progress_at"))["oldest"]
    yield Family(
        "mbs_oldest_progress_age_seconds",
        "Time since the last progress of the active module build without progress for longest",
        value=_age(progress, now),
    )
    yield _waits(now)
    waiting = Q(set_aside_at=None)
    pending = OutboxMessage.objects.filter(published_at=None).aggregate(
        depth=Count("pk", filter=waiting),
        oldest=Min("created_at", filter=waiting),
        aside=Count("set_aside_at"),
    )
    yield Family("mbs_outbox_depth", "Messages that the bus has not confirmed", value=pending["depth"])
    yield Family(
        "mbs_outbox_age_seconds", "Age of the oldest unconfirmed message", value=_age(pending["oldest"], now)
    )
    yield Family("mbs_outbox_set_aside", "Messages that cannot be published", value=pending["aside"])
    yield from _sweeps()


class EndedCounts:
    """Cached numbers of the rows in final states, which are nearly all rows.

    Counting a million rows takes 40 ms, so counts are kept for a thousand times as long as counting took.
    """

    def __init__(self, model: type[ModuleBuild] | type[ComponentBuild], states: Iterable[int]) -> None:
        self.states = frozenset(states)
        self._rows = model._default_manager.order_by().filter(state__in=self.states)
        self.reset()

    def reset(self) -> None:
        """Count again at the next call."""
        self._counts: dict[int, int] = {}
        self._until = 0.0

    def counts(self) -> dict[int, int]:
        """Return the number of rows of each state that has any."""
        begun = time.monotonic()
        if begun >= self._until:
            self._counts = dict(self._rows.values_list("state").annotate(Count("pk")))
            now = time.monotonic()
            self._until = now + 1000 * (now - begun)
        return self._counts


ENDED_COUNTS = {
    ModuleBuild: EndedCounts(ModuleBuild, (BuildState.FAILED, BuildState.READY, BuildState.GARBAGE)),
    ComponentBuild: EndedCounts(ComponentBuild, SETTLED),
}


def _by_state(
    name: str, what: str, model: type[ModuleBuild] | type[ComponentBuild], states: dict[str, int | None]
) -> Family:
    """Return the number of rows in each state, 0 included, counted in the index of the state."""
    ended = ENDED_COUNTS[model]
    counts, rows = ended.counts(), model._default_manager
    family = Family(name, f"{what} by state", labels=["state"])
    for word, number in states.items():
        if number is None:
            count = rows.filter(state__isnull=True).count()
        elif number in ended.states:
            count = counts.get(number, 0)
        else:
            count = rows.filter(state=number).count()
        family.add_metric([word], count)
    return family


def _waits(now: datetime) -> Family:
    kinds = [When(key__startswith=kind.prefix, then=Value(str(kind))) for kind in Kind]
    kind = Case(*kinds, default=Value("other"), output_field=CharField())
    oldest = dict(Wait.objects.order_by().values_list(kind).annotate(Min("created_at")))
    family = Family("mbs_oldest_wait_age_seconds", "Age of the oldest wait by kind", labels=["kind"])
    for name in (*Kind, "other"):
        family.add_metric([name], _age(oldest.get(name), now))
    return family


def _sweeps() -> Iterator[Family]:
    begun = Family(
        "mbs_sweep_started_timestamp_seconds", "Start of the last run of a sweep", labels=["sweep"]
    )
    lasted = Family("mbs_sweep_duration_seconds", "Duration of the last run of a sweep", labels=["sweep"])
    failed = Family("mbs_sweep_failed", "Whether the last run of a sweep failed", labels=["sweep"])
    # A stored prediction may have megabytes.
    for sweep in Sweep.objects.exclude(started_at=None).defer("result").order_by("name"):
        assert sweep.started_at is not None
        begun.add_metric([sweep.name], sweep.started_at.timestamp())
        if sweep.finished_at and sweep.finished_at >= sweep.started_at:
            lasted.add_metric([sweep.name], (sweep.finished_at - sweep.started_at).total_seconds())
            failed.add_metric([sweep.name], float(bool(sweep.error)))
    yield from (begun, lasted, failed)


def _of_broker() -> Iterator[Family]:
    depths = Family("mbs_queue_depth", "Tasks that wait for a worker, by queue", labels=["queue"])
    with quick_broker() as broker:
        channel = broker.default_channel
        for queue in current_app.conf.task_queues:
            try:
                declared = channel.queue_declare(  # type: ignore[attr-defined]  # the stubs lack it
                    queue.name, passive=True
                )
                depth = declared.message_count
            except broker.channel_errors:  # Redis deletes a list when it becomes empty
                depth = 0
            depths.add_metric([queue.name], depth)
    yield depths


def _age(moment: datetime | None, now: datetime) -> float:
    """Return the seconds since this time, 0 if there is none."""
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
