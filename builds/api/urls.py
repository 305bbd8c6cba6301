"""Routes of the API, each with and without a trailing slash."""

from __future__ import annotations

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from builds.api.views.base import NUMBER
from builds.api.views.components import ComponentBuildViewSet
from builds.api.views.documents import FinalModulemdViewSet, ImportViewSet
from builds.api.views.events import EventViewSet
from builds.api.views.modules import ModuleBuildViewSet
from builds.api.views.monitoring import MetricsViewSet
from builds.api.views.openapi import DocsViewSet, SchemaViewSet
from builds.api.views.plan import PlanViewSet
from builds.api.views.service import AboutViewSet, MeViewSet, RebuildStrategyViewSet, RootViewSet
from builds.api.views.subscriptions import SubscriptionViewSet
from builds.api.views.tokens import TokenViewSet


class Router(SimpleRouter):
    """A router that answers both spellings, since a redirect would lose the body of a POST."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


router = Router()
router.register("module-builds/plan", PlanViewSet, basename="plan")
router.register(f"module-builds/(?P<pk>{NUMBER})/events", EventViewSet, basename="event")
router.register("module-builds", ModuleBuildViewSet, basename="module-build")
router.register("component-builds", ComponentBuildViewSet, basename="component-build")
router.register("about", AboutViewSet, basename="about")
router.register("me", MeViewSet, basename="me")
router.register("rebuild-strategies", RebuildStrategyViewSet, basename="rebuild-strategy")
router.register("import-module", ImportViewSet, basename="import-module")
router.register("final-modulemd", FinalModulemdViewSet, basename="final-modulemd")
router.register("monitor/metrics", MetricsViewSet, basename="metrics")
router.register("subscriptions", SubscriptionViewSet, basename="subscription")
router.register("tokens", TokenViewSet, basename="token")
router.register("schema", SchemaViewSet, basename="schema")
router.register("docs", DocsViewSet, basename="docs")

urlpatterns = [
    re_path(r"^module-build-service/(?P<version>[^/]+)/?$", RootViewSet.as_view({"get": "list"})),
    path("module-build-service/<str:version>/", include(router.urls)),
]
