"""A middleware that gives each request an id, and that logs, counts and times requests.

A front server or a client may set the id (``X-Request-ID``). Log lines, the response and the tasks that the
request leads to carry it.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from builds.observability import log_context, origin
from builds.observability.metrics import service_metrics

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
#: Accepted request ids: no blanks or quotes, which could forge log lines.
_NUMBER = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestMiddleware:
    """Identify, log, count and time requests; the outermost middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle a request."""
        number = request_number(request.META.get("HTTP_X_REQUEST_ID", ""))
        started = time.perf_counter()
        # The context is not removed afterwards: Django logs errors after all middlewares have returned.
        log_context.restart(request_id=number)
        with origin.of_request(request.path_info):
            response = self.get_response(request)
        seconds = time.perf_counter() - started
        count(request.method or "", route_of(request), response.status_code, seconds)
        level = logging.DEBUG if request.method in _READING else logging.INFO
        log.log(level, "%s %s: %s in %.3f s", request.method, request.path, response.status_code, seconds)
        response[HEADER] = number
        return response

    def process_view(
        self, request: HttpRequest, view: object, args: object, kwargs: Mapping[str, Any]
    ) -> None:
        """Add the number of a module build to the log context; the view that reads it adds the N:S:V:C."""
        if "pk" in kwargs and "module-builds/" in request.path:
            log_context.bind(build=int(kwargs["pk"]))


def request_number(given: str) -> str:
    """Return the given request id if it is acceptable, or a new one."""
    return given if _NUMBER.fullmatch(given) else uuid.uuid4().hex


def count(method: str, route: str, status: int, seconds: float | None = None) -> None:
    """Count a response.

    Args:
        method: HTTP method.
        route: Pattern of the address, see ``route_of``.
        status: HTTP status.
        seconds: Duration; None for a stream of events, which lasts as long as the client listens.
    """
    method = method if method in _METHODS else "other"
    metrics = service_metrics()
    metrics.requests.labels(method, route, status).inc()
    if seconds is not None:
        metrics.request_seconds.labels(method, route).observe(seconds)


def route_of(request: HttpRequest) -> str:
    """Return the URL pattern of the requested address: there are few patterns, but endless addresses."""
    match = request.resolver_match
    return _readable(match.route) if match else "none"


@lru_cache(maxsize=500)
def _readable(route: str) -> str:
    """Return a URL pattern in the form ``module-build-service/<version>/module-builds/<pk>``."""
    route = re.sub(r"\(\?P(<\w+>)[^()]*\)", r"\1", route)
    route = re.sub(r"<\w+:(\w+)>", r"<\1>", route)
    return re.sub(r"/\?|[\^$?\\]|\.\*", "", route).rstrip("/") or "/"
