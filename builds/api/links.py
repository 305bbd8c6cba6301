"""Absolute URLs in answers."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

ROOT = "/module-build-service/"


def site(request: HttpRequest | Request) -> str:
    """Return ``scheme://host[:port]`` under which the client reaches the service.

    Behind a proxy that terminates TLS, requests arrive as plain http. If the request names the host of
    ``BASE_URL``, its scheme is used.
    """
    host = request.get_host()
    base = settings.MBS.BASE_URL
    return base if urlsplit(base).netloc == host else f"{request.scheme}://{host}"


def path(request: Request) -> str:
    """Return the path of the API in the version of the request, with a trailing slash."""
    return f"{ROOT}{request.version}/"


def api(request: Request) -> str:
    """Return the URL of the API in the version of the request, with a trailing slash."""
    return f"{site(request)}{path(request)}"


def list_url(request: Request) -> str:
    """Return the URL of the requested list, with or without a trailing slash as requested."""
    return f"{site(request)}{request.path}"
