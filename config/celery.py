"""The Celery application; ``celeryconfig.py`` says how it behaves."""

from __future__ import annotations

import os
from typing import Any

import billiard.pool
from celery import Celery
from celery.signals import celeryd_after_setup, task_prerun, worker_process_init
from django.db import close_old_connections

from mbs.errors import ConfigurationError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("mbs", config_source="celeryconfig", set_as_current=True)
app.autodiscover_tasks(["builds"])

# A worker that is stopped forgets a task that it has just handed to a process. The process carries it out,
# and then waits for the worker to read the result, which it never does: for as many tenths of a second.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 30


@task_prerun.connect
def _drop_broken_connections(**_: object) -> None:
    """As Django does before a request; Celery alone would open a new connection for every task."""
    close_old_connections()


# Behind the above: what it connects to asks the database.
import builds.observability.celery_signals  # noqa: E402, F401


@celeryd_after_setup.connect
def _check_builder(instance: Any, **_: object) -> None:
    """End a worker that would run builds on a machine that lacks protections of builds."""
    if "builds" in instance.app.amqp.queues.consume_from:
        from builds.services import local_builds

        try:
            local_builds.check_start()
        except ConfigurationError as error:
            raise SystemExit(f"{error} {error.hint}") from error


@worker_process_init.connect
def _meet_the_bus(**_: object) -> None:
    """Import what publishes now: it may take seconds for which a build would wait."""
    # The models that it needs are there now, and were not when this module was imported.
    from builds.messaging.publishers import publisher

    publisher()
