"""Serve pages with forms that change something: sessions, CSRF protection, errors as pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.cache import never_cache

from builds.api import links
from builds.api.errors import method_not_allowed
from builds.services.auth import Identity
from builds.web import people
from builds.web.errors import failure
from mbs.errors import MBSError

METHODS = ("GET", "HEAD", "POST")
View = Callable[..., HttpResponseBase]


def form_page(view: View) -> View:
    """Decorate a view with a form that is sent to its own address.

    Errors of the service become pages. Django's middleware refuses forms of other sites.
    """

    @never_cache
    @wraps(view)
    def serve(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if request.method not in METHODS:
            response = failure(method_not_allowed(request.method or "", request.path, METHODS))(request)
            response["Allow"] = ", ".join(METHODS)
            return response
        try:
            return view(request, **kwargs)
        except MBSError as error:
            return failure(error)(request)

    return serve


def logged_in(request: HttpRequest, back: str = "") -> Identity | HttpResponseRedirect | None:
    """Return the user of the request, or a redirect to the login page.

    Args:
        request: The browser's request.
        back: Path to return to after the login; empty: the requested page, and for a form the first page.

    Returns:
        None if the front server only authenticates users who send a form (Kerberos).

    Raises:
        MBSError: The credentials of the request are wrong, or cannot be checked now.
    """
    found = people.person(request)
    if found is not None:
        return found
    if request.method != "POST" and settings.MBS.AUTH_METHOD == "kerberos":
        return None
    if not back:
        back = request.get_full_path() if request.method in ("GET", "HEAD") else f"{links.prefix()}/"
    return HttpResponseRedirect(f"{links.prefix()}/login?{urlencode({'next': back})}")
