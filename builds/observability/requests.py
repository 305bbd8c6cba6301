"""A middleware for all requests: their numbers in log and answers, how many there are, how long they take.

A request may bring its number (``X-Request-ID``, from a front server or a client); the tasks that it leads
to, and their log lines, carry it as well.
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

from builds.observability import log_context
from builds.observability.metrics import service_metrics

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
#: what is taken for a number: no blanks or quotes, which would forge log lines
_NUMBER = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestMiddleware:
    """The outermost of the middlewares."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        number = request_number(request.META.get("HTTP_X_REQUEST_ID", ""))
        started = time.perf_counter()
        # Not ended here: Django itself writes a line about an error behind all middlewares.
        log_context.restart(request_id=number)
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
        """Lines about a module build carry its number; the view that reads the row adds its name."""
        if "pk" in kwargs and "module-builds/" in request.path:
            log_context.bind(build=int(kwargs["pk"]))


def request_number(given: str) -> str:
    """The number that a request brought, or a new one."""
    return given if _NUMBER.fullmatch(given) else uuid.uuid4().hex


def count(method: str, route: str, status: int, seconds: float | None = None) -> None:
    """Count an answer.

    :param seconds: None for an answer that goes on for as long as somebody listens.
    """
    method = method if method in _METHODS else "other"
    metrics = service_metrics()
    metrics.requests.labels(method, route, status).inc()
    if seconds is not None:
        metrics.request_seconds.labels(method, route).observe(seconds)


def route_of(request: HttpRequest) -> str:
    """The pattern that fits the address: there are as many as views, however many addresses are asked."""
    match = request.resolver_match
    return _readable(match.route) if match else "none"


@lru_cache(maxsize=500)
def _readable(route: str) -> str:
    """A pattern as a person would write it: ``module-build-service/<version>/module-builds/<pk>``."""
    route = re.sub(r"\(\?P(<\w+>)[^()]*\)", r"\1", route)
    route = re.sub(r"<\w+:(\w+)>", r"<\1>", route)
    return re.sub(r"/\?|[\^$?\\]|\.\*", "", route).rstrip("/") or "/"
