"""Pages far from the beginning of a list."""

from __future__ import annotations

import pytest

from builds.models import ComponentBuild, ModuleBuild
from builds.selectors import deep_pages
from tests.builds.rest import Api
from tests.factories import module_build

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of 60 components, with gaps; every place in their list counts as deep."""
    monkeypatch.setattr(deep_pages, "MAX_SKIPPED", 0)
    monkeypatch.setattr(deep_pages, "POSITIONS", deep_pages.Positions())
    build = module_build()
    ComponentBuild.objects.bulk_create(
        [ComponentBuild(pk=n * 3, module_build=build, package=f"p{n}", batch=n % 2) for n in range(1, 61)]
    )
    return [n * 3 for n in range(1, 61)]


@pytest.mark.parametrize("order", ["id", "-id"])
@pytest.mark.parametrize("offsets", [range(7, 60, 7), range(49, 0, -7), [30, 31, 29, 45, 8, 30]])
def test_every_page_is_the_one_at_its_offset(rows: list[int], order: str, offsets: list[int]) -> None:
    queryset = ComponentBuild.objects.order_by(order).values_list("id", "package")
    expected = rows if order == "id" else rows[::-1]
    for offset in offsets:
        count = min(7, 60 - offset)
        found = deep_pages.rows_at(queryset, offset, count, 60)
        assert [row[0] for row in found] == expected[offset : offset + count], offset


def test_filtered_lists_have_places_of_their_own(rows: list[int]) -> None:
    every = ComponentBuild.objects.order_by("-id").values_list("id", "package")
    odd = every.filter(batch=1)
    deep_pages.rows_at(every, 20, 5, 60)
    found = deep_pages.rows_at(odd, 20, 5, 30)
    assert [row[0] for row in found] == [row[0] for row in odd[20:25]]


def test_new_rows_move_no_place(rows: list[int]) -> None:
    queryset = ComponentBuild.objects.order_by("-id").values_list("id", "package")
    deep_pages.rows_at(queryset, 30, 5, 60)
    build = ModuleBuild.objects.get()
    ComponentBuild.objects.create(pk=999, module_build=build, package="new", batch=0)
    found = deep_pages.rows_at(queryset, 32, 5, 61)
    assert [row[0] for row in found] == [row[0] for row in queryset[32:37]]


def test_a_page_near_a_remembered_place_passes_few_rows(rows: list[int], django_assert_num_queries) -> None:
    queryset = ComponentBuild.objects.order_by("-id").values_list("id", "package")
    deep_pages.rows_at(queryset, 25, 5, 60)
    with django_assert_num_queries(1) as statements:
        deep_pages.rows_at(queryset, 30, 5, 60)
    assert "OFFSET" not in statements[0]["sql"]


def test_places_are_forgotten(rows: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    queryset = ComponentBuild.objects.order_by("-id").values_list("id", "package")
    deep_pages.rows_at(queryset, 25, 5, 60)
    ComponentBuild.objects.filter(pk__lte=30).delete()
    monkeypatch.setattr(deep_pages, "LIFETIME", 0.0)
    found = deep_pages.rows_at(queryset, 30, 5, 50)
    assert [row[0] for row in found] == rows[::-1][30:35]


@pytest.mark.parametrize("query", ["", "&order_by=id", "&order_desc_by=id", "&batch=1", "&order_by=package"])
def test_the_pages_of_the_api_hold_every_row_once(rows: list[int], api: Api, query: str) -> None:
    whole = [item["id"] for item in api.get(f"component-builds/?per_page=100{query}")["items"]]
    for numbers in (range(1, 13), range(12, 0, -1)):
        pages = {n: api.get(f"component-builds/?per_page=5&page={n}{query}")["items"] for n in numbers}
        assert [item["id"] for n in sorted(pages) for item in pages[n]] == whole
