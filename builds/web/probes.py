"""Probes of load balancers and Prometheus, which name the address of a process and not the service."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase

#: Answers here hold no address, and are the same for every client.
_PATHS = re.compile(r"/health/(?:live|ready)|/module-build-service/[12]/monitor/metrics/?")


class ProbeMiddleware:
    """Answer probes whatever host they name (``ALLOWED_HOSTS`` holds for everything else)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in ("GET", "HEAD") and _PATHS.fullmatch(request.path):
            try:
                request.get_host()
            except DisallowedHost:
                request.META["HTTP_HOST"] = settings.ALLOWED_HOSTS[0].removeprefix(".")
        return self.get_response(request)
