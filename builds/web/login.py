"""Log users in, with an account of this service or at the OpenID provider, and log them out.

Failed logins are counted together with those of the admin (``builds.admin.logins``).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth import logout as end_session
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render

from builds.api import links
from builds.services.auth.methods import provider_name, web_login_enabled
from builds.web import people
from builds.web.forms import form_page
from builds.web.pages import common
from builds.web.provider_login import own_path


class _AccountForm(AuthenticationForm):
    """Name and password of an account. Where users log in at a provider, only operators have accounts."""

    def confirm_login_allowed(self, user: User) -> None:
        """Check the account after its password.

        Raises:
            ValidationError: The account may not log in here.
        """
        super().confirm_login_allowed(user)
        if web_login_enabled() and not user.is_staff:
            raise ValidationError(
                f"Only operators log in with a password. Log in at {provider_name()}.", code="not_staff"
            )


class _Login(LoginView):
    """The login page; it leads back to the page that asked for the login."""

    template_name = "web/login.html"
    form_class = _AccountForm

    def get_success_url(self) -> str:
        """Return the URL of the page that asked for the login, otherwise of the user's builds."""
        return own_path(self.request, self.request.POST.get(REDIRECT_FIELD_NAME, ""))

    def form_valid(self, form: AuthenticationForm) -> HttpResponseBase:  # type: ignore[override]  # a subclass of its type
        """Log in; a login at the provider in the same session ends."""
        self.request.session.flush()
        return super().form_valid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        back = self.request.POST.get(REDIRECT_FIELD_NAME) or self.request.GET.get(REDIRECT_FIELD_NAME, "")
        return {
            **super().get_context_data(**kwargs),
            **common(),
            "next": back,
            "method": settings.MBS.AUTH_METHOD,
            "no_logins": settings.MBS.NO_AUTH,
            "provider": provider_name() if web_login_enabled() else "",
            "provider_address": f"{links.prefix()}/login/provider?{urlencode({REDIRECT_FIELD_NAME: back})}",
        }


_login = _Login.as_view()


@form_page
def login(request: HttpRequest) -> HttpResponseBase:
    """Let the user choose how to log in; redirect users who are logged in."""
    if request.method != "POST" and people.shown(request):
        return HttpResponseRedirect(own_path(request, request.GET.get(REDIRECT_FIELD_NAME, "")))
    return _login(request)


@form_page
def logout(request: HttpRequest) -> HttpResponseBase:
    """Ask for confirmation, and end the session when the form is sent.

    After a login at the provider, the next page has a link that ends the login there. It is a link since the
    content security policy allows no form that leads to another site.
    """
    if request.method != "POST":
        return render(request, "web/logout.html", common())
    at_provider = people.account(request) is None and bool(people.shown(request)) and web_login_enabled()
    end_session(request)
    people.forget(request)
    if not at_provider:
        return HttpResponseRedirect(f"{links.prefix()}/")
    from builds.services.auth import web_login  # only where there are such logins

    values = {"ended": True, "provider": provider_name(), "provider_logout": web_login.logout_url()}
    return render(request, "web/logout.html", common() | values)
