"""Variables of all templates."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from builds.api import links
from builds.models import SavedSearch
from builds.services import saved_searches
from builds.web import people


def page(request: HttpRequest) -> dict[str, object]:
    """Return the variables that every page can show.

    ``prefix`` is the path under which a proxy serves the service, ``simulated`` whether the build system
    is the simulated one, ``me`` the name of the logged-in user, and ``saved_searches`` are those of the user.
    """
    return {
        "prefix": links.prefix(),
        "simulated": settings.MBS.SYSTEM == "simulated",
        "me": SimpleLazyObject(lambda: _username(request)),
        "saved_searches": SimpleLazyObject(lambda: _saved_searches(request)),
    }


def _username(request: HttpRequest) -> str:
    try:
        return people.shown(request)
    except (DatabaseError, InterfaceError):
        return ""  # the page that says so needs no name


def _saved_searches(request: HttpRequest) -> list[SavedSearch]:
    try:
        return saved_searches.of(people.shown(request))
    except (DatabaseError, InterfaceError):
        return []
