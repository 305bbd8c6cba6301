"""Metrics for Prometheus."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from rest_framework.request import Request

from builds.api.openapi.operations import PLAIN, Operation
from builds.api.views.base import ApiViewSet
from builds.observability import metrics
from builds.selectors.metrics import StateCollector


class MetricsViewSet(ApiViewSet):
    """Metrics from the database and from all processes, in the text format of Prometheus."""

    operations = {"list": Operation("metrics", str, media_type=PLAIN)}

    def list(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Return all metrics for Prometheus."""
        registry = metrics.machine_registry()
        registry.register(StateCollector())
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
