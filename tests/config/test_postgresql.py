"""Connections to a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from config.databases import database
from config.postgresql import base
from config.postgresql.base import DatabaseWrapper
from tests import postgresql


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    try:
        postgresql.programs()
    except SystemExit as error:
        pytest.skip(str(error))
    with postgresql.server() as url:
        yield url


@pytest.fixture
def connection(url: str, django_db_blocker) -> Iterator[DatabaseWrapper]:
    with django_db_blocker.unblock():
        connection = DatabaseWrapper(connections.configure_settings({"default": database(url)})["default"])
        connection.connect()
        connection.close_if_unusable_or_obsolete()
        yield connection
        connection.close()


def test_a_transaction_may_last_longer_than_a_connection_is_trusted(connection, monkeypatch):
    monkeypatch.setattr(base, "TRUSTED", 0)
    connection.trusted_until = float("inf")
    connection.set_autocommit(False)
    connection.cursor().execute("CREATE TEMPORARY TABLE fact (id integer)")
    connection.trusted_until = 0
    connection.commit()
    connection.set_autocommit(True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM fact")
        assert cursor.fetchone() == (0,)


def test_a_connection_that_was_lost_is_replaced_by_the_next_request(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [lost] = cursor.fetchone()
    connection.connection.close()
    connection.trusted_until = 0
    connection.close_if_unusable_or_obsolete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() != (lost,)
