from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.db import connections
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

import config.celery  # noqa: F401
from tests.processes import Redis


def pytest_configure() -> None:
    """End by SIGTERM as by Ctrl-C: what the tests have started ends too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # How long an example takes depends on what else the machine does.
    hypothesis_settings.register_profile("mbs", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.load_profile("mbs")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A test database that other processes can open, for each process of a parallel run."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connections["default"].settings_dict["TEST"]["NAME"] = str(path)


@pytest.fixture(scope="session", autouse=True)
def redis() -> Iterator[Redis]:
    """A Redis of the test run's own; this process must not meet another broker before it."""
    with Redis() as server:
        current_app.conf.update(broker_url=server.url, result_backend=server.url)
        yield server


@pytest.fixture(scope="session")
def redis_url(redis: Redis) -> str:
    return redis.url


@pytest.fixture(autouse=True)
def _own_data_dir(tmp_path: Path, settings) -> None:
    settings.MBS = settings.MBS.model_copy(update={"DATA_DIR": tmp_path})
