"""The Celery application. Its settings are in ``celeryconfig.py``."""

from __future__ import annotations

import os
import sys
from typing import Any

import billiard.pool
from celery import Celery
from celery.signals import celeryd_after_setup, task_prerun, worker_process_init
from django.db import close_old_connections

from mbs.errors import ConfigurationError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("mbs", config_source="celeryconfig", set_as_current=True)
# Celery's support for Django puts the current folder first. There, an operator's config.py would hide the
# package config from child processes.
if sys.path[0] == os.getcwd():
    del sys.path[0]
app.autodiscover_tasks(["builds"])

# A stopping worker forgets tasks that it has just passed to a child process. The child runs such a task, and
# then waits in vain for the worker to read the result. This is the limit, in tenths of a second.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 30


@task_prerun.connect
def _drop_broken_connections(**_: object) -> None:
    """Close broken and expired connections, as Django does before a request.

    Without it, Celery opens a new connection for each task.
    """
    close_old_connections()


# After the handler above, since its own handlers use the database.
import builds.observability.celery_signals  # noqa: E402, F401  (connects; needs the settings)


@celeryd_after_setup.connect
def _check_builder(instance: Any, **_: object) -> None:
    """Stop a worker of the queue ``builds`` if required protections are missing on this machine."""
    if "builds" in instance.app.amqp.queues.consume_from:
        from builds.services import local_builds

        try:
            local_builds.check_start()
        except ConfigurationError as error:
            raise SystemExit(f"{error} {error.hint}") from error


@worker_process_init.connect
def _preload_publisher(**_: object) -> None:
    """Preload the publisher when the process starts, since the import may take seconds."""
    # Imported here, since it needs models, which are not loaded when this module is imported.
    from builds.messaging.publishers import publisher

    publisher()
