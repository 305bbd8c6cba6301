"""Variables of all templates."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, InterfaceError
from django.test import Client, RequestFactory

from builds.web import context, people
from tests.builds.web.browser import BROWSER, Page


@pytest.mark.parametrize("error", [DatabaseError, InterfaceError])
def test_a_page_without_a_database_shows_no_name(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def away(request: object) -> str:
        raise error("the connection is closed")

    monkeypatch.setattr(people, "shown", away)
    assert str(context.page(RequestFactory().get("/"))["me"]) == ""


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "module-builds/", "me/", "tokens/", "module-builds/999"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_pages_of_the_api_are_shown_to_a_user_who_is_logged_in(
    client: Client, path: str, method: str
) -> None:
    """The API answers without the session, in which the head of its pages finds the user."""
    client.force_login(User.objects.create_user("ann"))
    answer = getattr(client, method)(f"/module-build-service/2/{path}", headers=BROWSER)
    assert answer.status_code < 500
    assert answer["Content-Type"].startswith("text/html")
    assert "Log out ann" in Page(answer.content.decode()).text
