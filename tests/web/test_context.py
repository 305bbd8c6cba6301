"""Variables of all templates."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, InterfaceError
from django.test import RequestFactory

from builds.web import context, people


@pytest.mark.parametrize("error", [DatabaseError, InterfaceError])
def test_a_page_without_a_database_shows_no_name(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def away(request: object) -> str:
        raise error("the connection is closed")

    monkeypatch.setattr(people, "shown", away)
    assert str(context.page(RequestFactory().get("/"))["me"]) == ""
