"""Views that describe the service."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import links
from builds.api.openapi.operations import Operation
from builds.api.permissions import require_login
from builds.api.views.base import ApiViewSet
from builds.services.auth.methods import device_login
from builds.shapes import About, RebuildStrategies, Url
from builds.shapes.comparison import Me
from mbs import __version__
from mbs.reuse import STRATEGIES

API_VERSION = 2
#: Name of a resource -> its path below the root of the API.
RESOURCES = {
    "module-builds": "module-builds/",
    "plan": "module-builds/plan/",
    "component-builds": "component-builds/",
    "import-module": "import-module/",
    "tokens": "tokens/",
    "subscriptions": "subscriptions/",
    "rebuild-strategies": "rebuild-strategies/",
    "about": "about/",
    "me": "me/",
    "docs": "docs/",
    "schema": "schema/",
}


class AboutViewSet(ApiViewSet):
    """The version of the service, and its login method."""

    operations = {"list": Operation("about", About)}

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Return the version of the service, and how to log in."""
        about = {"version": __version__, "api_version": API_VERSION, "auth_method": settings.MBS.AUTH_METHOD}
        login = device_login()
        return Response({**about, "login": login} if login else about)


class MeViewSet(ApiViewSet):
    """The user of the request, with groups and the scopes of the token."""

    private = True
    operations = {"list": Operation("me", Me, (401, 429))}

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Return who is logged in. The scopes are those of the token, or null for all."""
        user = require_login(self.identity)
        scopes = None if user.scopes is None else sorted(user.scopes)
        response = Response({"username": user.username, "groups": sorted(user.groups), "scopes": scopes})
        response["Cache-Control"] = "no-store"
        return response

    def finalize_response(  # type: ignore[override]  # DRF accepts any response of Django
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Remove the CORS header, so that pages of other sites cannot read the answer."""
        final = super().finalize_response(request, response, *args, **kwargs)
        del final["Access-Control-Allow-Origin"]
        return final


class RebuildStrategyViewSet(ApiViewSet):
    """The rebuild strategies, and which of them a submission may choose."""

    operations = {"list": Operation("list_rebuild_strategies", RebuildStrategies)}

    def list(self, request: Request, **kwargs: Any) -> Response:
        """List the rebuild strategies."""
        options = settings.MBS
        chosen = options.REBUILD_STRATEGIES_ALLOWED if options.REBUILD_STRATEGY_ALLOW_OVERRIDE else ()
        items = [
            {
                "name": name,
                "description": description,
                "allowed": name in chosen or name == options.REBUILD_STRATEGY,
                "default": name == options.REBUILD_STRATEGY,
            }
            for name, description in sorted(STRATEGIES.items())
        ]
        return Response({"items": items})


class RootViewSet(ApiViewSet):
    """The resources of the API."""

    operations = {"list": Operation("resources", dict[str, Url])}

    def list(self, request: Request, **kwargs: Any) -> Response:
        """List the resources of the service with their URLs."""
        return Response({name: f"{links.api(request)}{path}" for name, path in RESOURCES.items()})
