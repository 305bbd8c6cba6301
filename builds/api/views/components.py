"""The view of component builds."""

from __future__ import annotations

from builds.api import filtersets, serializers
from builds.api.openapi.operations import Operation
from builds.api.parameters import Shape
from builds.api.views.base import BuildViewSet, by_id
from builds.models import ComponentBuild
from builds.representations import COMPONENT_COLUMNS
from builds.shapes import lists


class ComponentBuildViewSet(BuildViewSet):
    """List component builds, and show one."""

    noun = "component build"
    tag = "component builds"
    operations = {
        "list": Operation("list_component_builds", lists.ComponentBuildPage, summary="List component builds"),
        "retrieve": Operation(
            "get_component_build", lists.AnyComponentBuild, summary="Show one component build"
        ),
        "messages": Operation(
            "list_component_messages",
            lists.LogMessagePage,
            summary="List the log messages of a component build",
        ),
    }
    queryset = ComponentBuild.objects.all()
    serializer_class = serializers.ComponentBuildSerializer
    columns = dict.fromkeys(Shape, COMPONENT_COLUMNS)
    by_id = by_id(queryset, columns)
    filterset_class = filtersets.ComponentBuildFilterSet
    order_columns = filtersets.COMPONENT_ORDER
