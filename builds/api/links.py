"""Absolute URLs in answers."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import get_script_prefix
from rest_framework.request import Request

ROOT = "/module-build-service/"


def site(request: HttpRequest | Request) -> str:
    """Return ``scheme://host[:port]`` of the URL that the client used, also behind a trusted proxy."""
    return f"{request.scheme}://{request.get_host()}"


def prefix() -> str:
    """Return the path under which a proxy or web server serves the service, without a trailing slash."""
    return get_script_prefix().rstrip("/")


def root(version: str) -> str:
    """Return the path of the API in a version, with a trailing slash."""
    return f"{prefix()}{ROOT}{version}/"


def path(request: Request) -> str:
    """Return the path of the API in the version of the request, with a trailing slash."""
    return root(str(request.version))


def api(request: Request) -> str:
    """Return the URL of the API in the version of the request, with a trailing slash."""
    return f"{site(request)}{path(request)}"


def list_url(request: Request) -> str:
    """Return the URL of the requested list, with or without a trailing slash as requested."""
    return f"{site(request)}{request.path}"
