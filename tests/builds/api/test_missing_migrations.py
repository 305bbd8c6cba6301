"""The service is newer than its database until ``mbs-manager migrate`` has run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
(MIGRATION,) = MigrationLoader(None).graph.leaf_nodes("builds")


@pytest.fixture
def lacking(transactional_db: None) -> Iterator[None]:
    """A database with a build, without a column that every list reads."""
    factories.module_build()
    rename = "ALTER TABLE builds_modulebuild RENAME COLUMN {} TO {}"
    with connection.cursor() as cursor:
        cursor.execute(rename.format("owner", "possessor"))
    yield
    with connection.cursor() as cursor:
        cursor.execute(rename.format("possessor", "owner"))


@pytest.fixture
def outdated(lacking: None) -> Iterator[None]:
    """One to which the last migration was not applied, too."""
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*MIGRATION)
    yield
    recorder.record_applied(*MIGRATION)


@pytest.mark.parametrize("path", ["module-builds/", "module-builds/?verbose=1"])
def test_the_api_names_the_missing_migration_and_the_command_that_applies_it(
    outdated: None, client: Client, path: str
) -> None:
    answer = client.get(f"/module-build-service/2/{path}")
    assert answer.status_code == 503
    error = answer.json()
    assert error["code"] == "database_outdated"
    assert ".".join(MIGRATION) in error["message"]
    assert "mbs-manager migrate" in error["hint"]
    assert "Retry-After" not in answer


def test_pages_name_the_command_too(outdated: None) -> None:
    answer = Client(raise_request_exception=False).get("/", headers={"accept": "text/html"})
    assert answer.status_code == 503
    assert "mbs-manager migrate" in answer.content.decode()


def test_the_service_is_not_ready(client: Client) -> None:
    call_command("migrate", "builds", "0001_module_builds", verbosity=0)
    try:
        answer = client.get("/health/ready")
    finally:
        call_command("migrate", verbosity=0)
    assert answer.status_code == 503
    said = answer.json()["checks"]["database"]
    assert ".".join(MIGRATION) in said
    assert "mbs-manager migrate" in said
    assert client.get("/health/ready").json()["checks"]["database"] == "ok"


def test_a_column_that_no_migration_adds_is_a_fault_of_the_service(lacking: None, client: Client) -> None:
    answer = client.get("/module-build-service/2/module-builds/")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
