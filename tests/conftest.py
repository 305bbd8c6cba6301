"""Fixtures of all tests."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

import config.celery  # noqa: F401  (tasks are sent through it)
from builds.api.views.base import _LISTINGS
from tests.builds.rest import Api
from tests.builds.services.auth.oidc_provider import AUDIENCE, Issuer
from tests.builds.services.auth.oidc_provider import issuer as running_issuer
from tests.processes import Redis


def pytest_configure() -> None:
    """Handle SIGTERM like Ctrl-C, so that the processes of the tests end too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The time of an example depends on the load of the machine. CONTRIBUTING.md tells when to use "search".
    search = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.register_profile("search", search)
    hypothesis_settings.register_profile("mbs", search, derandomize=True)
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
def _empty_caches() -> None:
    """Forget predictions, logins and counts of another test, which may have had builds of the same ids."""
    for name in settings.CACHES:
        caches[name].clear()
    _LISTINGS.clear()


@pytest.fixture(autouse=True)
def _own_data_dir(tmp_path: Path, settings: Any) -> None:
    settings.MBS = settings.MBS.model_copy(update={"DATA_DIR": tmp_path})


@pytest.fixture
def option(settings: Any) -> Callable[..., None]:
    """Change options of the service: ``option(NO_AUTH=False)``."""

    def change(**values: Any) -> None:
        settings.MBS = settings.MBS.model_copy(update=values)

    return change


@pytest.fixture
def api(db: None, client: Client) -> Api:
    """A client of the REST API."""
    client.raise_request_exception = False
    return Api(client)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A running OpenID provider."""
    with running_issuer() as there:
        yield there


@pytest.fixture
def asking(option: Callable[..., None], issuer: Issuer, tmp_path: Path) -> Issuer:
    """The provider of a service that checks every token by introspection, like MBS 3.9.2."""
    option(
        NO_AUTH=False,
        AUTH_METHOD="oidc",
        OIDC_REQUIRED_SCOPE="mbs/submit",
        OIDC_CLIENT_SECRETS=issuer.secrets_file(tmp_path),
    )
    return issuer


@pytest.fixture
def verifying(option: Callable[..., None], issuer: Issuer) -> Issuer:
    """The provider of a service that verifies signed tokens by the provider's keys."""
    option(
        NO_AUTH=False,
        AUTH_METHOD="oidc",
        OIDC_REQUIRED_SCOPE="mbs/submit",
        OIDC_ISSUER=issuer.url,
        OIDC_AUDIENCE=AUDIENCE,
    )
    return issuer
