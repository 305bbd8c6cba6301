"""Fixtures of all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

import config.celery  # noqa: F401  (tasks are sent through it)
from tests.processes import Redis


def pytest_configure() -> None:
    """Handle SIGTERM like Ctrl-C, so that the processes of the tests end too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The time of an example depends on the load of the machine.
    hypothesis_settings.register_profile("mbs", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.load_profile("mbs")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Use a test database that other processes can open, one for each process of a parallel run."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connections["default"].settings_dict["TEST"]["NAME"] = str(path)


@pytest.fixture(scope="session", autouse=True)
def redis() -> Iterator[Redis]:
    """A Redis of the test run. This process must not connect to another broker before."""
    with Redis() as server:
        current_app.conf.update(broker_url=server.url, result_backend=server.url)
        yield server


@pytest.fixture(scope="session")
def redis_url(redis: Redis) -> str:
    """The address of the test run's Redis."""
    return redis.url


@pytest.fixture(autouse=True)
def _no_memory_of_builds() -> None:
    """Forget what was learned of the builds of another test, which had the same numbers."""
    cache.delete("predictions:habits")


@pytest.fixture(autouse=True)
def _own_data_dir(tmp_path: Path, settings: Any) -> None:
    settings.MBS = settings.MBS.model_copy(update={"DATA_DIR": tmp_path})
