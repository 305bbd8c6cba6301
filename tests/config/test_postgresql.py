"""Connections to a real PostgreSQL."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg2
import pytest
from django.apps import apps
from django.db import OperationalError, connections
from django.db.models.signals import pre_migrate

from config.databases import database
from config.postgresql.base import _IDLE, DatabaseWrapper
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


def elsewhere(url: str, sql: str, *values: object) -> object:
    """Run a statement over another connection, and return its first value."""
    with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
        other.autocommit = True
        cursor.execute(sql, values)
        return cursor.fetchone()[0] if cursor.description else None


def begin_request(connection: DatabaseWrapper) -> None:
    """Let the connection be checked before its next statement, as Django does when a request begins."""
    connection.close_if_unusable_or_obsolete()


@pytest.fixture
def used(connection: DatabaseWrapper) -> int:
    """The server process of the connection, which was checked a moment ago."""
    begin_request(connection)
    return value(connection, "SELECT pg_backend_pid()")


def test_a_connection_that_the_client_has_closed_is_replaced_by_the_next_request(connection, used):
    connection.connection.close()
    begin_request(connection)
    assert value(connection, "SELECT pg_backend_pid()") != used


def test_a_connection_that_the_server_has_closed_is_replaced_by_the_next_request(url, connection, used):
    assert elsewhere(url, "SELECT pg_terminate_backend(%s, 60000)", used)
    begin_request(connection)
    assert value(connection, "SELECT pg_backend_pid()") != used


def test_a_connection_in_use_is_checked_without_a_statement(url, connection, used):
    last = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    begin_request(connection)
    connection.close_if_health_check_failed()
    assert elsewhere(url, last, used) == "SELECT pg_backend_pid()"
    connection.checked_at -= _IDLE + 1
    begin_request(connection)
    connection.close_if_health_check_failed()
    assert elsewhere(url, last, used) == "SELECT 1"


def test_a_message_that_the_server_sends_unasked_does_not_cost_the_connection(url, connection, used):
    with connection.cursor() as cursor:
        cursor.execute("LISTEN news")
    elsewhere(url, "NOTIFY news")
    assert select.select([connection.connection.fileno()], [], [], 60)[0]
    begin_request(connection)
    assert value(connection, "SELECT pg_backend_pid()") == used


class Proxy:
    """Stands before a server; ``cut`` has it swallow all that open connections send from then on."""

    def __init__(self, target: int) -> None:
        self.target, self.era = target, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = [self.listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.era += 1

    def close(self) -> None:
        for each in self.sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            self.sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target, self.era), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, era: int) -> None:
        try:
            while data := source.recv(65536):
                if era == self.era:
                    target.sendall(data)
        except OSError:
            return


@contextmanager
def opened(url: str, answer_timeout: float | None) -> Iterator[DatabaseWrapper]:
    values = connections.configure_settings({"default": database(url, answer_timeout)})["default"]
    connection = DatabaseWrapper(values)
    try:
        yield connection
    finally:
        connection.close()


def value(connection: DatabaseWrapper, sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


@pytest.fixture
def cut_off(url, django_db_blocker):
    """A connection of which nothing arrives any more, although it is open on both sides."""
    proxy = Proxy(urlsplit(url).port)
    through = url.replace(str(urlsplit(url).port), str(proxy.port))
    with django_db_blocker.unblock(), opened(through, 1) as connection:
        assert value(connection, "SELECT 1") == 1
        proxy.cut()
        yield connection
    proxy.close()


def test_a_connection_that_hangs_costs_its_patience_and_is_replaced(cut_off):
    begun = time.monotonic()
    with pytest.raises(OperationalError, match="did not answer within 1 seconds"):
        value(cut_off, "SELECT 1")
    assert time.monotonic() - begun >= 1
    cut_off.close_if_unusable_or_obsolete()
    assert value(cut_off, "SELECT 1") == 1


def test_a_connection_that_hangs_after_a_pause_does_not_cost_the_request(cut_off):
    begin_request(cut_off)
    cut_off.checked_at -= _IDLE + 1
    assert value(cut_off, "SELECT 1") == 1


def test_a_silent_database_server_is_given_up_after_the_timeout(url, django_db_blocker):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = url.replace(str(urlsplit(url).port), str(silent.getsockname()[1]))
        with (
            django_db_blocker.unblock(),
            opened(nowhere, 1) as connection,
            pytest.raises(OperationalError, match="did not answer within 1 seconds"),
        ):
            connection.ensure_connection()


def test_a_slow_statement_is_stopped_and_its_connection_kept(url, django_db_blocker):
    with django_db_blocker.unblock(), opened(url, 1) as connection:
        process = value(connection, "SELECT pg_backend_pid()")
        with pytest.raises(OperationalError, match="statement timeout"):
            value(connection, "SELECT pg_sleep(60)")
        assert value(connection, "SELECT pg_backend_pid()") == process


def test_migrations_take_as_long_as_they_take(url, django_db_blocker):
    with django_db_blocker.unblock(), opened(url, 1) as connection:
        assert value(connection, "SHOW statement_timeout") == "900ms"
        connection.remove_time_limits()
        assert value(connection, "SHOW statement_timeout") == "0"
        assert value(connection, "SELECT pg_sleep(1.5)") == ""


def test_migrate_lifts_the_bounds(url, django_db_blocker, monkeypatch):
    values = connections.configure_settings({"default": database(url, 5)})["default"]
    monkeypatch.setitem(connections.settings, "other", values)
    with django_db_blocker.unblock():
        assert value(connections["other"], "SHOW statement_timeout") == "4500ms"
        pre_migrate.send_robust(sender=apps.get_app_config("builds"), using="other")
        assert value(connections["other"], "SHOW statement_timeout") == "0"
        connections["other"].close()
    del connections["other"]


def test_a_server_that_became_read_only_is_away_and_not_kept(url, django_db_blocker):
    with django_db_blocker.unblock(), opened(url, 5) as connection:
        process = value(connection, "SELECT pg_backend_pid()")
        value(connection, "SELECT set_config('default_transaction_read_only', 'on', false)")
        with pytest.raises(OperationalError, match="read-only"), connection.cursor() as cursor:
            cursor.execute("CREATE TABLE fact (id integer)")
        connection.close_if_unusable_or_obsolete()
        assert value(connection, "SELECT pg_backend_pid()") != process
