"""Serve the page of saved searches, with forms that save and delete them."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse

from builds.api import links, parameters
from builds.services import saved_searches
from builds.web import filtering, people
from builds.web.forms import form_page
from builds.web.pages import common
from mbs.errors import InvalidInput
from mbs.text import whole_number


@form_page
def searches(request: HttpRequest) -> HttpResponse:
    """Show the saved searches of the user; save or delete one when a form is sent.

    This needs a login of this service. A front server that authenticates only requests that send forms does
    not name the user for the request that shows the list.
    """
    owner = people.shown(request)
    if not owner:
        query = urlencode({"next": reverse("searches")})
        return HttpResponseRedirect(f"{links.prefix()}/login?{query}")
    if request.method != "POST":
        return render(request, "web/searches.html", common() | {"most": saved_searches.MAX_NUMBER})
    if "delete" in request.POST:
        saved_searches.delete(owner, _number(request.POST["delete"]))
        return HttpResponseRedirect(reverse("searches"))
    saved = saved_searches.save(owner, request.POST.get("name", ""), _filters(request.POST.get("query", "")))
    return HttpResponseRedirect(f"{links.prefix()}/?{saved.query}")


def _filters(query: str) -> QueryDict:
    """Return the filters of a form.

    Raises:
        InvalidInput: They are too long, or there are no such filters.
    """
    if len(query) > saved_searches.MAX_QUERY:
        raise InvalidInput(
            "The filters are too long.",
            code="bad_search",
            hint=f"Choose filters of at most {saved_searches.MAX_QUERY} characters.",
        )
    filters = QueryDict(query)
    allowed = filtering.FILTERS | {filtering.MINE}
    parameters.check_known(sorted(filters.keys() - allowed - {filtering.BEFORE}), sorted(allowed))
    return filters


def _number(text: str) -> int:
    if (number := whole_number(text)) is None:
        raise InvalidInput("The id of a saved search is not valid.")
    return number
