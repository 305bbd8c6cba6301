"""Metrics of events, counted in the files of prometheus_client's multiprocess mode.

Each process of a machine counts in files of its own, in one folder (``PROMETHEUS_MULTIPROC_DIR``, by default
``metrics`` in the data folder). A request for metrics adds the files up, so every process gives the same
response, and counting takes about a microsecond. ``builds.observability.multiprocess`` keeps the counts of
ended processes: Prometheus would take a smaller counter for a restart. Numbers that the database holds are
read by ``builds.selectors.metrics`` instead.
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

from builds.observability.multiprocess import MachineCollector

#: Causes of failed module builds, named as in MBS 3.9.2: the user, the infrastructure, or unknown.
REASONS = ("user", "infra", "unspec")
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


class ServiceMetrics:
    """All metrics of events. Those that MBS 3.9.2 has too keep its names, without the prefix ``mbs_``.

    Creating a metric without labels writes a file. ``service_metrics`` creates them on first use, so that a
    process that counts nothing writes none.
    """

    def __init__(self) -> None:
        folder = os.environ.setdefault(_FOLDER, str(settings.MBS.DATA_DIR / "metrics"))
        Path(folder).mkdir(parents=True, exist_ok=True)
        # The library reads the variable when it is imported, and fedora-messaging imports it earlier.
        values.ValueClass = values.MultiProcessValue()
        # Not registered: their values are read from the files.
        self.received = Counter("messaging_rx", "Bus messages received", registry=None)
        self.handled = Counter("messaging_rx_processed_ok", "Bus messages that were handled", registry=None)
        self.refused = Counter(
            "messaging_rx_failed", "Bus messages that were dropped or returned to the queue", registry=None
        )
        self.to_send = Counter("messaging_tx_to_send", "Bus messages written to the outbox", registry=None)
        self.sent = Counter("messaging_tx_sent_ok", "Bus messages that the bus confirmed", registry=None)
        self.unsent = Counter(
            "messaging_tx_failed", "Attempts to publish that the bus did not confirm", registry=None
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
            "mbs_build_system_calls", "Calls to the build system", ["method", "outcome"], registry=None
        )
        self.call_seconds = Histogram(
            "mbs_build_system_call_seconds",
            "Duration of a call to the build system",
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
    """Return the metrics of this process, created on first use."""
    return ServiceMetrics()


@contextmanager
def call(method: str) -> Iterator[None]:
    """Count and time one call to the build system."""
    started, outcome = time.perf_counter(), "error"
    try:
        yield
        outcome = "ok"
    finally:
        metrics = service_metrics()
        metrics.calls.labels(method, outcome).inc()
        metrics.call_seconds.labels(method).observe(time.perf_counter() - started)


def machine_registry() -> CollectorRegistry:
    """Return a registry with the sums over all processes of this machine."""
    service_metrics()
    registry = CollectorRegistry()
    MachineCollector(registry)
    return registry
