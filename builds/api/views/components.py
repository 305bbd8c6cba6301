"""Component builds."""

from __future__ import annotations

from typing import Any

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import filtersets, serializers
from builds.api.pagination import Messages
from builds.api.parameters import Shape
from builds.api.views.base import BuildViewSet, by_id
from builds.models import ComponentBuild
from builds.representations import COMPONENT_COLUMNS


class ComponentBuildViewSet(BuildViewSet):
    """Component builds: list them, look at one."""

    noun = "component build"
    queryset = ComponentBuild.objects.all()
    serializer_class = serializers.ComponentBuildSerializer
    columns = dict.fromkeys(Shape, COMPONENT_COLUMNS)
    by_id = by_id(queryset, columns)
    filterset_class = filtersets.ComponentBuildFilterSet
    order_columns = filtersets.COMPONENT_ORDER

    @action(
        detail=True,
        methods=["get"],
        pagination_class=Messages,
        serializer_class=serializers.LogMessageSerializer,
    )
    def messages(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Log messages of a component build, newest first."""
        return self.messages_of(self.row(pk))
