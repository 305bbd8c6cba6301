"""Component builds."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import serializers
from builds.api.pagination import PARAMETERS, Messages
from builds.api.parameters import SHAPES, Shape
from builds.api.views.base import BuildViewSet
from builds.models import ComponentBuild


class ComponentBuildViewSet(BuildViewSet):
    """Component builds: list them, look at one."""

    noun = "component build"
    queryset = ComponentBuild.objects.all()
    serializer_class = serializers.ComponentBuildSerializer
    parameters = frozenset({*PARAMETERS, *SHAPES})

    def rows(self, shape: Shape) -> QuerySet[ComponentBuild]:
        return self.queryset.order_by("-id")

    @action(
        detail=True,
        methods=["get"],
        pagination_class=Messages,
        serializer_class=serializers.LogMessageSerializer,
        parameters=frozenset(PARAMETERS),
    )
    def messages(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Log messages of a component build, newest first."""
        return self.messages_of(self.row(pk))
