from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.db import connections

import config.celery  # noqa: F401
from tests.processes import redis_server


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A test database that other processes can open."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connections["default"].settings_dict["TEST"]["NAME"] = str(path)


@pytest.fixture(scope="session", autouse=True)
def redis_url() -> Iterator[str]:
    """A Redis of the test run's own; this process must not meet another broker before it."""
    with redis_server() as url:
        current_app.conf.update(broker_url=url, result_backend=url)
        yield url


@pytest.fixture(autouse=True)
def _own_data_dir(tmp_path: Path, settings) -> None:
    settings.MBS = settings.MBS.model_copy(update={"DATA_DIR": tmp_path})
