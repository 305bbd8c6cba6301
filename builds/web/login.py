"""Log users in with an account of this service, and log them out.

Failed logins are counted together with those of the admin (``builds.admin.logins``).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth import logout as end_session
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from builds.api import links
from builds.web import people
from builds.web.forms import form_page
from builds.web.pages import common


class _Login(LoginView):
    """The login page; it leads back to the page that asked for the login."""

    template_name = "web/login.html"

    def get_default_redirect_url(self) -> str:
        """Return the URL of the list of the user's builds."""
        return _own_builds()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {
            **super().get_context_data(**kwargs),
            **common(),
            "method": settings.MBS.AUTH_METHOD,
            "no_logins": settings.MBS.NO_AUTH,
        }


_login = _Login.as_view()


def _own_builds() -> str:
    return f"{links.prefix()}/?mine=1"


@form_page
def login(request: HttpRequest) -> HttpResponseBase:
    """Ask for the name and password of an account; redirect users who are logged in."""
    back = request.GET.get(REDIRECT_FIELD_NAME, "")
    if request.method != "POST" and people.account(request):
        safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
        return HttpResponseRedirect(back if safe else _own_builds())
    return _login(request)


@form_page
def logout(request: HttpRequest) -> HttpResponseBase:
    """Ask for confirmation, and end the session when the form is sent."""
    if request.method == "POST":
        end_session(request)
        return HttpResponseRedirect(f"{links.prefix()}/")
    return render(request, "web/logout.html", common())
