"""Celery workers for tests, with the database, broker and data folder of the test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.db import connection

from tests.processes import Worker


def database_url() -> str:
    """Return the address of this test run's database, for other processes."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    return f"postgresql://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


class Workers:
    """Starts Celery workers with this test's database, broker and data folder."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        self.environ = environ
        self.folder = folder
        self.started: list[Worker] = []
        self.begun: list[tuple[Worker, dict[str, str], dict[str, Any]]] = []

    def start(self, **options: Any) -> Worker:
        """Start a worker; upper-case keywords are options of the service, the others are ``Worker``'s."""
        environ = {f"MBS_{name}": str(options.pop(name)) for name in list(options) if name.isupper()}
        log = self.folder / f"worker{len(self.started)}.log"
        worker = Worker(self.environ | environ, log, **options)
        self.started.append(worker)
        self.begun.append((worker, environ, options))
        worker.wait_until_ready()
        return worker

    def revive(self) -> None:
        """Restart workers that have died, like a service manager does.

        A Celery worker that loses Redis can die when it returns its messages (kombu 5.7: ``conninfo`` is
        None when the channel closes).
        """
        for place, (worker, environ, options) in enumerate(self.begun):
            if worker.process.poll() is not None:
                log = self.folder / f"worker{len(self.started)}.log"
                again = Worker(self.environ | environ, log, **options)
                self.started.append(again)
                self.begun[place] = again, environ, options
                again.wait_until_ready()

    def logs(self) -> str:
        """Return the logs of all workers."""
        return "\n".join(worker.log.read_text() for worker in self.started)


def environment(folder: Path, broker_url: str) -> dict[str, str]:
    """Return the environment of a worker that uses this test's database and the folder."""
    return {
        "MBS_CONFIG_FILE": "",
        "MBS_CONFIG_SECTION": "test",
        "MBS_DATABASE_URL": database_url(),
        "MBS_BROKER_URL": broker_url,
        "MBS_DATA_DIR": str(folder),
        "MBS_MESSAGING": "log",
        # Repositories of tests are on this machine.
        "MBS_ALLOW_PRIVATE_SCM_HOSTS": "true",
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
    }
