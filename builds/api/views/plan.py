"""The view that previews a submission."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import serializers
from builds.api.openapi.operations import BUILDING, Operation
from builds.api.permissions import require_submitter
from builds.api.submissions import submission_request
from builds.api.views.base import ApiViewSet
from builds.services.plan import plan
from builds.shapes.plans import Plan


class PlanViewSet(ApiViewSet):
    """Preview a submission: expand the module and check its dependencies, without recording anything."""

    tag = "module builds"
    operations = {"create": Operation("plan", Plan, BUILDING)}
    serializer_class = serializers.SubmissionSerializer

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Preview the builds that a submission would create."""
        user = require_submitter(self.identity)
        values = self.read()
        return Response(plan(submission_request(user, values)).as_dict())
