"""Accept probes of load balancers and Prometheus, which send the IP address of a process as Host."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.http.request import split_domain_port, validate_host

#: The answers at these paths contain no URLs and are the same for all clients.
_PATHS = re.compile(r"/health/(?:live|ready)|/module-build-service/[12]/monitor/metrics/?")


class ProbeMiddleware:
    """Accept an IP address as Host in probes. For all other requests ``ALLOWED_HOSTS`` applies."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Replace the Host of a probe if it is an unknown IP address."""
        if request.method in ("GET", "HEAD") and _PATHS.fullmatch(request.path_info):
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
