"""Statements that are kept: by this process, and by PostgreSQL in each connection."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, connection, transaction

from builds.models import ModuleBuild
from builds.selectors import statements
from builds.selectors.prepared import ByValues
from builds.selectors.statements import Given
from tests.factories import module_build


@pytest.fixture
def names() -> ByValues:
    """Asks for builds; not known to the connection yet."""
    return ByValues(ModuleBuild.objects.filter(pk__among=Given()).order_by("id").values_list("id", "name"))


def kept() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'mbs_%'")
        return [text for (text,) in cursor.fetchall()]


def often(query: ByValues, ids: list[int]) -> None:
    for _ in range(statements.ASKED_OFTEN):
        query(ids)


@pytest.mark.django_db(transaction=True)
class TestAmong:
    @pytest.mark.parametrize(
        "name", ["", "NULL", 'a"b', "a\\", '\\"', "{a,b}", "a,b", "a'b", " a ", "%s", "ü\U0001f600", "a\nb"]
    )
    def test_text_stays_what_it_is(self, name: str) -> None:
        module_build(name="other")
        build = module_build(name=name)
        query = ByValues(
            ModuleBuild.objects.filter(name__among=Given(1), pk__among=Given()).values_list("id", "name")
        )
        for _ in range(statements.ASKED_OFTEN + 1):
            assert [tuple(row) for row in query([build.pk], ["x", name])] == [(build.pk, name)]

    def test_nothing_is_asked_for_no_values(self, names: ByValues, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            assert list(names([])) == []

    def test_an_address_cannot_name_it(self) -> None:
        with pytest.raises(TypeError, match="Given"):
            ModuleBuild.objects.filter(name__among="x")

    def test_many_values(self, names: ByValues) -> None:
        builds = [module_build(name=f"m{number}").pk for number in range(3)]
        assert [row[0] for row in names([*builds, *range(10**6, 10**6 + 5_000)])] == builds


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
        assert "$1" in text
        assert list(names([two.pk, one.pk])) == [(one.pk, "one"), (two.pk, "two")]
        assert len(kept()) == 1

    def test_a_constant_stays_what_it_is(self) -> None:
        build = module_build(name="50% o'clock")
        query = ByValues(
            ModuleBuild.objects.filter(pk__among=Given(), name="50% o'clock").values_list("name")
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

    def test_a_connection_keeps_those_that_were_asked_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(statements, "MOST_KEPT", 2)
        columns = ("name", "stream", "version")
        one, two, three = (
            ByValues(ModuleBuild.objects.filter(pk__among=Given()).values_list(column)) for column in columns
        )
        for query in (one, two, one, three):
            often(query, [1])
        assert sorted(text.split('"')[3] for text in kept()) == ["name", "version"]

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

    def test_a_server_without_the_setting_is_no_trouble(
        self, names: ByValues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(statements, "_ANY_PLAN", "SET no_such_setting = 1")
        build = module_build()
        often(names, [build.pk])
        assert list(names([build.pk])) == [(build.pk, build.name)]
        assert kept() == []

    def test_lists_have_one_plan(self, names: ByValues) -> None:
        for number in range(statements.ASKED_OFTEN + 8):
            names([*range(number + 1)])
        with connection.cursor() as cursor:
            cursor.execute("SELECT custom_plans FROM pg_prepared_statements WHERE name LIKE 'mbs_%'")
            assert cursor.fetchall() == [(0,)]

    def test_errors_of_the_database_stay_errors(self, names: ByValues) -> None:
        often(names, [1])
        with pytest.raises(DataError, match="out of range"):
            names([2**70])
