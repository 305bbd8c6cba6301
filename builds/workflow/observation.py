"""Observe the service for operators: the load, the workers, and whether the build system answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.db.models import F, Min

from builds.messaging import outbox
from builds.models import LoadSample, Sweep, Wait, clock
from builds.selectors import prediction_errors, predictions, slots
from builds.services import outages
from builds.services.build_system import build_system
from buildsys.base import BuildSystemError
from buildsys.connection import AnswersPings
from mbs.errors import Unavailable

#: Seconds that workers have to name their queues.
TIMEOUT = 0.5
#: Time for which a worker that no longer answers is kept in the list, and max workers in it.
REMEMBERED, MAX_WORKERS = timedelta(days=1), 200
SAMPLES = "samples"


def take_sample() -> dict[str, Any]:
    """Store a sample of the load, and return the workers that were seen: name -> queues and time."""
    now = clock.now()
    loads = slots.loads()
    waits = Wait.objects.filter(run=F("module_build__run"))
    oldest = waits.aggregate(oldest=Min("created_at"))["oldest"]
    LoadSample.objects.create(
        time=now,
        building=sum(load.building for load in loads),
        waiting=sum(load.waiting for load in loads),
        oldest_wait=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        unpublished=outbox.unconfirmed().count(),
    )
    return {"workers": _workers(now)}


def _workers(now: datetime) -> dict[str, Any]:
    """Return the workers that answer now, and those that answered in the runs before."""
    row = Sweep.objects.filter(name=SAMPLES).first()
    known: Mapping[str, Any] = row.result.get("workers", {}) if row else {}
    limit = (now - REMEMBERED).isoformat()
    seen = {name: worker for name, worker in known.items() if str(worker["seen"]) > limit}
    for name, queues in (current_app.control.inspect(timeout=TIMEOUT).active_queues() or {}).items():
        seen[name] = {"queues": sorted(queue["name"] for queue in queues), "seen": now.isoformat()}
    latest = sorted(seen, key=lambda name: str(seen[name]["seen"]), reverse=True)[:MAX_WORKERS]
    return {name: seen[name] for name in sorted(latest)}


def measure_predictions() -> dict[str, float]:
    """Return the correction of predictions, which ``builds.selectors.predictions`` reads."""
    return asdict(prediction_errors.measure())


def predict_many() -> dict[str, Any]:
    """Return the prediction for all active builds if they are too many for a page; otherwise nothing."""
    return predictions.prepare(clock.now())


def check_build_system() -> dict[str, Any]:
    """Check whether the build system answers, so that an outage is known before a build needs it.

    Raises:
        Unavailable: It does not answer, or refuses.
    """
    system = build_system()
    if isinstance(system, AnswersPings):
        try:
            system.ping()
        except BuildSystemError as refusal:
            raise Unavailable(f"The build system refuses requests: {refusal}") from refusal
        outages.end()
    return {}
