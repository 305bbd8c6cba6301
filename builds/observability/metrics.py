"""Count events in the files of prometheus_client's multiprocess mode.

All processes of a machine write into one folder (``PROMETHEUS_MULTIPROC_DIR``, by default ``metrics`` in
the data folder), each into files of its own; a request for the metrics adds them up. So every process gives
the same answer, counts survive their process, and counting costs about a microsecond.
``builds.observability.multiprocess`` keeps the counts of ended processes, since a counter that shrinks looks
like a restart. Numbers that the database knows are read by ``builds.selectors.metrics`` instead, the same on
every machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Histogram, values

from builds.observability.multiprocess import AllProcesses

#: whose fault it is that a module build failed (names of the reference)
REASONS = ("user", "infra", "unspec")
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


class ServiceMetrics:
    """The metrics. Those of the reference bear its names, and no prefix.

    A figure without labels begins at 0 in the file of whoever makes it: a process that counts nothing
    should not make these at all, hence ``service_metrics``.
    """

    def __init__(self) -> None:
        folder = os.environ.setdefault(_FOLDER, str(settings.MBS.DATA_DIR / "metrics"))
        Path(folder).mkdir(parents=True, exist_ok=True)
        # The library looks for the variable when it is imported, which fedora-messaging does before us.
        values.ValueClass = values.MultiProcessValue()
        # They belong to no registry: what they hold is read from the files.
        self.received = Counter("messaging_rx", "Messages of the bus that came", registry=None)
        self.handled = Counter(
            "messaging_rx_processed_ok", "Messages of the bus that were handled", registry=None
        )
        self.refused = Counter(
            "messaging_rx_failed", "Messages of the bus that were dropped or given back", registry=None
        )
        self.to_send = Counter("messaging_tx_to_send", "Messages written for the bus", registry=None)
        self.sent = Counter("messaging_tx_sent_ok", "Messages that the bus confirmed", registry=None)
        self.unsent = Counter(
            "messaging_tx_failed", "Tries to send messages that the bus did not take", registry=None
        )
        self.succeeded = Counter("builds_success", "Module builds that were done", registry=None)
        self.failed = Counter("builds_failed_total", "Module builds that failed", ["reason"], registry=None)
        for reason in REASONS:
            self.failed.labels(reason)
        self.requests = Counter(
            "mbs_http_requests", "Requests answered", ["method", "route", "status"], registry=None
        )
        self.request_seconds = Histogram(
            "mbs_http_request_seconds",
            "Time to answer a request",
            ["method", "route"],
            registry=None,
            buckets=_SHORT,
        )
        self.calls = Counter(
            "mbs_build_system_calls", "Calls of the build system", ["method", "outcome"], registry=None
        )
        self.call_seconds = Histogram(
            "mbs_build_system_call_seconds",
            "Time of a call of the build system",
            ["method"],
            registry=None,
            buckets=_LONG,
        )
        self.reaction_seconds = Histogram(
            "mbs_reaction_seconds",
            "Time from an event to the start of the step that waited for it",
            ["step"],
            registry=None,
            buckets=_LONG,
        )


@cache
def service_metrics() -> ServiceMetrics:
    """The metrics of this process."""
    return ServiceMetrics()


@contextmanager
def call(method: str) -> Iterator[None]:
    """Count and time one call of the build system."""
    started, outcome = time.perf_counter(), "error"
    try:
        yield
        outcome = "ok"
    finally:
        metrics = service_metrics()
        metrics.calls.labels(method, outcome).inc()
        metrics.call_seconds.labels(method).observe(time.perf_counter() - started)


def machine_registry() -> CollectorRegistry:
    """A registry with the sums over all processes of this machine."""
    service_metrics()
    registry = CollectorRegistry()
    AllProcesses(registry)
    return registry
