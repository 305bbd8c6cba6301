"""What a submission would do."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import serializers
from builds.api.permissions import require_submitter
from builds.api.submissions import submission_request
from builds.api.views.base import ApiViewSet
from builds.services.plan import plan


class PlanViewSet(ApiViewSet):
    """Expand a module and look for what it needs, as a submission does, without recording anything."""

    serializer_class = serializers.SubmissionSerializer

    def create(self, request: Request, **kwargs: Any) -> Response:
        user = require_submitter(request.user)
        values = self.get_serializer(data=request.data).read()
        return Response(plan(submission_request(user, values)).as_dict())
