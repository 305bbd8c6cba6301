"""Log users of the pages in at the OpenID provider.

The browser keeps the begun login in a signed cookie, so a request without a login writes nothing to the
database. Links start a login, not forms: the content security policy allows no form that leads to another
site.
"""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.utils.http import url_has_allowed_host_and_scheme

from builds.api import links
from builds.api.errors import body, status_of
from builds.services.auth.methods import web_login_enabled
from builds.web.forms import form_page
from builds.web.pages import common
from mbs.errors import InvalidInput, MBSError, NotFound

COOKIE = "mbs_login"
#: Seconds for a login at the provider.
TIME = 900
#: Max logins that a browser has begun, in several windows.
MAX_BEGUN = 3
#: Max length of the path to return to, and of the parameters of the callback.
MAX_PATH, MAX_PARAMETER = 600, 4000


def own_path(request: HttpRequest, path: str) -> str:
    """Return the given path if it belongs to this service, otherwise the path of the user's builds."""
    # Other characters than ASCII need up to 12 bytes each in the cookie; addresses quote them.
    own = path.startswith("/") and path.isascii() and path.isprintable() and len(path) <= MAX_PATH
    if own and url_has_allowed_host_and_scheme(path, None):
        return path
    return f"{links.prefix()}/?mine=1"


@form_page
def begin(request: HttpRequest) -> HttpResponseBase:
    """Redirect the browser to the provider; ``?next=`` is the page to show after the login."""
    _require_web_login()
    from builds.services.auth import web_login  # only where there are such logins

    url, begun = web_login.begin(own_path(request, request.GET.get("next", "")))
    response = HttpResponseRedirect(url)
    _keep(response, [asdict(begun), *_kept(request)][:MAX_BEGUN])
    return _unseen(response)


@form_page
def callback(request: HttpRequest) -> HttpResponseBase:
    """Finish a login with the answer of the provider, and show the page that asked for it."""
    _require_web_login()
    from builds.services.auth import login_sessions, web_login

    kept = _kept(request)
    answer = {name: str(value)[:MAX_PARAMETER] for name, value in request.GET.items()}
    found = next((each for each in kept if each["state"] == answer.get("state")), None)
    if found is None:
        # An answer for another browser: somebody may try to log this one in with an account of theirs.
        raise InvalidInput(
            "This browser has not started this login, or started it too long ago.",
            code="foreign_login",
            hint=f"Open {settings.MBS.BASE_URL}/login and log in again. The browser must accept cookies.",
        )
    response: HttpResponseBase
    try:
        tokens, user = web_login.finish(web_login.Begun(**found), answer)
    except MBSError as error:
        response = _failed(request, error, found["back"])
    else:
        login_sessions.begin(request.session, tokens, user)
        rotate_token(request)
        response = HttpResponseRedirect(found["back"])
    _keep(response, [each for each in kept if each is not found])
    return _unseen(response)


def _require_web_login() -> None:
    if not web_login_enabled():
        raise NotFound("This service has no login at a provider.", hint="Log in at /login.")


def _failed(request: HttpRequest, error: MBSError, back: str) -> HttpResponseBase:
    """Return the page about a login that failed, with a link that starts it again."""
    status = status_of(error)
    again = f"{links.prefix()}/login/provider?{urlencode({'next': back})}"
    values = {"failure": body(error, status), "again": again}
    return render(request, "web/error.html", common() | values, status=status)


def _kept(request: HttpRequest) -> list[dict[str, str]]:
    """Return the logins that this browser has begun."""
    try:
        kept: list[dict[str, str]] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=TIME)
    except signing.BadSignature:
        return []
    return kept


def _keep(response: HttpResponseBase, begun: list[dict[str, str]]) -> None:
    path = f"{links.prefix()}/login"
    if not begun:
        response.delete_cookie(COOKIE, path=path, samesite="Lax")
        return
    response.set_cookie(
        COOKIE,
        signing.dumps(begun, salt=COOKIE, compress=True),
        max_age=TIME,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",  # the provider's redirect is a navigation from another site
    )


def _unseen(response: HttpResponseBase) -> HttpResponseBase:
    """Keep the address, which contains the code of the provider, out of the requests to other sites."""
    response["Referrer-Policy"] = "no-referrer"
    patch_cache_control(response, private=True, no_store=True)
    return response
