"""Absolute addresses in answers."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from rest_framework.request import Request

ROOT = "/module-build-service/"


def site(request: Request) -> str:
    """``scheme://host[:port]`` under which this client reaches the service.

    Behind a front server that ends TLS the request itself looks like plain http: when it names the host
    of ``BASE_URL``, that address is the right one.
    """
    host = request.get_host()
    base = settings.MBS.BASE_URL
    return base if urlsplit(base).netloc == host else f"{request.scheme}://{host}"


def path(request: Request) -> str:
    """Return the path of the API in the version of the request, with a slash at its end."""
    return f"{ROOT}{request.version}/"


def api(request: Request) -> str:
    """Return the address of the API in the version of the request, with a slash at its end."""
    return f"{site(request)}{path(request)}"


def list_url(request: Request) -> str:
    """Address of the list that was asked for, in the spelling with or without a slash that was used."""
    return f"{site(request)}{request.path}"
