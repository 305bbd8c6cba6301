"""Lists count their rows each time."""

from __future__ import annotations

import pytest
from django.db.models.functions import Length

from builds.models import ModuleBuild
from builds.selectors.listing import Listing
from tests.factories import module_build

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("order", [["-id"], [Length("version"), "version", "id"]])
def test_a_list_counts_rows_that_were_added_later(order: list[object]) -> None:
    listing = Listing(ModuleBuild.objects.order_by(*order), ["id", "name"])
    assert listing.count() == 0
    module_build(name="a")
    module_build(name="b")
    assert listing.count() == 2


def test_a_filtered_list_counts_the_rows_that_match() -> None:
    module_build(name="a")
    module_build(name="b")
    listing = Listing(ModuleBuild.objects.filter(name="a").order_by("id"), ["id"])
    assert listing.count() == 1
    assert Listing(ModuleBuild.objects.filter(name="none"), ["id"]).count() == 0
