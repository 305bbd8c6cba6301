"""Component builds."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import filtersets, serializers
from builds.api.pagination import Messages
from builds.api.parameters import Shape
from builds.api.views.base import BuildViewSet
from builds.models import ComponentBuild


class ComponentBuildViewSet(BuildViewSet):
    """Component builds: list them, look at one."""

    noun = "component build"
    queryset = ComponentBuild.objects.all()
    serializer_class = serializers.ComponentBuildSerializer
    filterset_class = filtersets.ComponentBuildFilterSet
    order_columns = filtersets.COMPONENT_ORDER

    def rows(self, shape: Shape) -> QuerySet[ComponentBuild]:
        return self.queryset

    @action(
        detail=True,
        methods=["get"],
        pagination_class=Messages,
        serializer_class=serializers.LogMessageSerializer,
    )
    def messages(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Log messages of a component build, newest first."""
        return self.messages_of(self.row(pk))
