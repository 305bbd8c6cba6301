"""Probes of load balancers and Prometheus, which name the address of a process and not the service."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.http.request import split_domain_port, validate_host

#: Answers here hold no address, and are the same for every client.
_PATHS = re.compile(r"/health/(?:live|ready)|/module-build-service/[12]/monitor/metrics/?")


class ProbeMiddleware:
    """Answer probes that name an IP address as host (``ALLOWED_HOSTS`` holds for everything else)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in ("GET", "HEAD") and _PATHS.fullmatch(request.path):
            host, _ = split_domain_port(request.META.get("HTTP_HOST", ""))
            if _is_address(host) and not validate_host(host, settings.ALLOWED_HOSTS):
                request.META["HTTP_HOST"] = settings.ALLOWED_HOSTS[0].removeprefix(".")
        return self.get_response(request)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
