"""Save searches of users under names, and delete them."""

from __future__ import annotations

from django.db import transaction
from django.http import QueryDict

from builds.models import SavedSearch
from mbs.errors import Conflict, InvalidInput, NotFound

#: Max saved searches of a user.
MAX_NUMBER = 30
MAX_NAME, MAX_QUERY = 60, 1000
#: Begins the name of a saved search in the search box; no module, package or user has such a name.
PREFIX = "@"
#: Filters that say where in a list a page begins.
_PLACES = ("before",)


def of(owner: str) -> list[SavedSearch]:
    """Return the saved searches of a user, by name; none without a user."""
    return list(SavedSearch.objects.filter(owner=owner).order_by("name")[:MAX_NUMBER]) if owner else []


def find(owner: str, name: str) -> SavedSearch | None:
    """Return the saved search of a user with this name."""
    name = name.strip()
    return SavedSearch.objects.filter(owner=owner, name=name).first() if owner and name else None


def normalized(filters: QueryDict) -> str:
    """Return filters as they are saved: without the beginning of a page, and ordered by name."""
    kept = sorted((name, values) for name, values in filters.lists() if name not in _PLACES)
    query = QueryDict(mutable=True)
    for name, values in kept:
        query.setlist(name, values)
    return query.urlencode()


def save(owner: str, name: str, filters: QueryDict) -> SavedSearch:
    """Save a search; it replaces one with the same name.

    Args:
        owner: The user.
        name: Its name.
        filters: The filters of the list of builds.

    Raises:
        InvalidInput: The name or the filters are empty, too long or not valid.
        Conflict: The user has too many saved searches.
    """
    name, query = name.strip(), normalized(filters)
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInput(
            "The name of the search is not valid.",
            code="bad_search_name",
            hint=f"Use 1 to {MAX_NAME} printable characters.",
        )
    if not 0 < len(query) <= MAX_QUERY:
        raise InvalidInput(
            "The search has no filters, or too long ones.",
            code="bad_search",
            hint=f"Choose filters in the list of builds, of at most {MAX_QUERY} characters.",
        )
    with transaction.atomic():
        saved, _ = SavedSearch.objects.update_or_create(owner=owner, name=name, defaults={"query": query})
        if SavedSearch.objects.filter(owner=owner).count() > MAX_NUMBER:
            raise Conflict(
                f"You have {MAX_NUMBER} saved searches already.",
                code="too_many_searches",
                hint="Delete one of them first.",
            )
    return saved


def delete(owner: str, number: int) -> None:
    """Delete a saved search of a user.

    Raises:
        NotFound: The user has no such search.
    """
    deleted, _ = SavedSearch.objects.filter(owner=owner, pk=number).delete()
    if not deleted:
        raise NotFound("You have no such saved search.", code="no_such_search", hint="Reload the page.")
