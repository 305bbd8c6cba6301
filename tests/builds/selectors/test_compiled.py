"""Compiled queries."""

from __future__ import annotations

from typing import Any

import pytest

from builds.models import ModuleBuild
from builds.selectors.compiled import CompiledQuery, Given
from tests.factories import module_build

NAMES = CompiledQuery(ModuleBuild.objects.filter(pk__among=Given()).order_by("id").values_list("id", "name"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["", "NULL", 'a"b', "a\\", '\\"', "{a,b}", "a,b", "a'b", " a ", "%s", "ü\U0001f600", "a\nb"]
)
def test_texts_are_compared_literally(name: str) -> None:
    module_build(name="other")
    build = module_build(name=name)
    query = CompiledQuery(
        ModuleBuild.objects.filter(name__among=Given(1), pk__among=Given()).values_list("id", "name")
    )
    assert [tuple(row) for row in query([build.pk], ["x", name])] == [(build.pk, name)]


@pytest.mark.django_db
def test_constants_in_the_query_are_kept() -> None:
    build = module_build(name="50% o'clock")
    query = CompiledQuery(ModuleBuild.objects.filter(pk__among=Given(), name="50% o'clock").values_list("id"))
    assert [tuple(row) for row in query([build.pk])] == [(build.pk,)]


@pytest.mark.django_db
def test_no_values_need_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert list(NAMES([])) == []


@pytest.mark.django_db
def test_many_values_are_one_statement(django_assert_num_queries: Any) -> None:
    builds = [module_build(name=f"m{number}").pk for number in range(3)]
    with django_assert_num_queries(1):
        assert [row[0] for row in NAMES([*builds, *range(10**6, 10**6 + 5_000)])] == builds


def test_a_request_cannot_use_the_lookup() -> None:
    with pytest.raises(TypeError, match="Given"):
        ModuleBuild.objects.filter(name__among="x")
