"""Statements that are kept: by this process, and by PostgreSQL in each connection."""

from __future__ import annotations

import pytest
from django.db import DataError, connection, transaction

from builds.models import ModuleBuild
from builds.selectors import statements
from builds.selectors.prepared import ByValues
from tests.factories import module_build


@pytest.fixture
def names() -> ByValues:
    """Asks for builds; not known to the connection yet."""
    return ByValues(
        lambda ids: ModuleBuild.objects.filter(pk__in=ids).order_by("id").values_list("id", "name")
    )


def kept() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'mbs_%'")
        return [text for (text,) in cursor.fetchall()]


def often(query: ByValues, ids: list[int]) -> None:
    for _ in range(statements.ASKED_OFTEN):
        query(ids)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps no statements")
@pytest.mark.django_db(transaction=True)
class TestOnPostgreSQL:
    @pytest.fixture(autouse=True)
    def _new_connection(self) -> None:
        connection.close()

    def test_what_is_asked_often_is_prepared(self, names: ByValues) -> None:
        one, two = module_build(name="one"), module_build(name="two")
        often(names, [one.pk, 0])
        (text,) = kept()
        assert "$2" in text
        assert list(names([two.pk, one.pk])) == [(one.pk, "one"), (two.pk, "two")]
        assert len(kept()) == 1

    def test_a_constant_stays_what_it_is(self) -> None:
        build = module_build(name="50% o'clock")
        query = ByValues(
            lambda ids: ModuleBuild.objects.filter(pk__in=ids, name="50% o'clock").values_list("name")
        )
        often(query, [build.pk])
        assert list(query([build.pk])) == [("50% o'clock",)]

    def test_nothing_is_prepared_inside_of_a_transaction(self, names: ByValues) -> None:
        with transaction.atomic():
            often(names, [1])
            assert kept() == []

    def test_a_pooler_that_forgets_statements_is_no_trouble(self, names: ByValues) -> None:
        build = module_build()
        often(names, [build.pk])
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")
        for _ in range(2):
            assert list(names([build.pk])) == [(build.pk, build.name)]
        assert kept() == []

    def test_a_pooler_that_shares_statements_is_no_trouble(self, names: ByValues) -> None:
        build = module_build()
        often(names, [build.pk])
        statements._KEPT.clear()
        assert list(names([build.pk])) == [(build.pk, build.name)]

    def test_a_column_that_a_migration_changes_is_no_trouble(self, names: ByValues) -> None:
        build = module_build()
        often(names, [build.pk])
        kind = "ALTER TABLE builds_modulebuild ALTER COLUMN name TYPE varchar(%s)"
        length = ModuleBuild._meta.get_field("name").max_length
        with connection.cursor() as cursor:
            cursor.execute(kind, [length + 1])
            try:
                assert list(names([build.pk])) == [(build.pk, build.name)]
            finally:
                cursor.execute(kind, [length])

    def test_a_connection_keeps_those_that_were_asked_last(
        self, names: ByValues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(statements, "MOST_KEPT", 2)
        for ids in ([1], [1, 2], [1], [1, 2, 3]):
            often(names, ids)
        assert sorted(text.count("$") for text in kept()) == [1, 3]

    def test_a_plan_is_made_anew_after_some_time(
        self, names: ByValues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def made() -> str:
            with connection.cursor() as cursor:
                cursor.execute("SELECT prepare_time FROM pg_prepared_statements WHERE name LIKE 'mbs_%'")
                [(moment,)] = cursor.fetchall()
            return str(moment)

        often(names, [1])
        first = made()
        names([1])
        assert made() == first
        monkeypatch.setattr(statements, "PLAN_LIFETIME", 0.0)
        names([1])
        assert made() > first

    def test_errors_of_the_database_stay_errors(self, names: ByValues) -> None:
        often(names, [1])
        with pytest.raises(DataError, match="out of range"):
            names([2**70])
