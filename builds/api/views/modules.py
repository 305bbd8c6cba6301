"""The view of module builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import filtersets, serializers
from builds.api.parameters import Shape
from builds.api.permissions import acting_for, require_login, require_owner, require_submitter
from builds.api.submissions import submission_request
from builds.api.views.base import BuildViewSet, by_id
from builds.models import ModuleBuild
from builds.observability import log_context
from builds.representations import DEFAULT_COLUMNS, SHORT_COLUMNS, VERBOSE_COLUMNS
from builds.services import cancellation, health, rebuild
from builds.services.identity import Identity, Scope
from builds.services.submission import submit
from mbs.errors import InvalidInput
from mbs.states import BuildState

#: The values of ``state`` that a PATCH accepts.
FAILED = (BuildState.FAILED.word, str(int(BuildState.FAILED)))


class ModuleBuildViewSet(BuildViewSet):
    """List, show, submit, cancel, retry and rebuild module builds."""

    noun = "module build"
    queryset = ModuleBuild.objects.all()
    serializer_class = serializers.ModuleBuildSerializer
    columns = {
        Shape.SHORT: SHORT_COLUMNS,
        Shape.DEFAULT: DEFAULT_COLUMNS,
        Shape.VERBOSE: VERBOSE_COLUMNS,
    }
    by_id = by_id(queryset, columns)
    filterset_class = filtersets.ModuleBuildFilterSet
    order_columns = filtersets.MODULE_ORDER
    input_serializers = {
        "create": serializers.SubmissionSerializer,
        "partial_update": serializers.ChangeSerializer,
        "retry": serializers.OwnerSerializer,
        "rebuild": serializers.RebuildSerializer,
        "plan_rebuild": serializers.RebuildSerializer,
    }

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Submit a module."""
        user = require_submitter(self.identity)
        wanted = submission_request(user, self.read())
        health.require_broker()
        return self._submitted(request, submit(wanted))

    def partial_update(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Cancel a module build."""
        user = require_login(self.identity, Scope.CANCEL)
        values = self.read()
        build, who = self._to_be_changed(pk, user, values)
        if values.get("state") not in FAILED:
            raise InvalidInput(
                "The key 'state' must be 'failed'.",
                code="invalid_state",
                hint='Send {"state": "failed"} to cancel the build. Nothing else can be changed.',
            )
        cancellation.cancel_once(build, who)
        return Response(self.represent([build], Shape.VERBOSE)[0])

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Resume a failed build. Components that are built stay built."""
        user = require_login(self.identity, Scope.SUBMIT)
        build, who = self._to_be_changed(pk, user, self.read())
        health.require_broker()
        cancellation.resume(build, who)
        # A concurrent request may have resumed it first.
        build.refresh_from_db()
        return Response(self.represent([build], Shape.VERBOSE)[0])

    @action(detail=True, methods=["post"])
    def rebuild(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Build the same commit again, as a new version; answers as a submission does."""
        build, who, strategy = self._to_be_rebuilt(pk)
        health.require_broker()
        return self._submitted(request, rebuild.rebuild(build, who, rebuild_strategy=strategy))

    @action(detail=True, methods=["post"], url_path="rebuild/plan", url_name="rebuild-plan")
    def plan_rebuild(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Tell what a rebuild would build, and why; nothing is recorded."""
        build, who, strategy = self._to_be_rebuilt(pk)
        return Response(rebuild.plan_rebuild(build, who, rebuild_strategy=strategy).as_dict())

    def _to_be_rebuilt(self, pk: str) -> tuple[ModuleBuild, str, str]:
        """The build whose commit is built again, in whose name, and with which rebuild strategy."""
        user = require_submitter(self.identity)
        values = self.read()
        who = acting_for(user, values)
        build = self.row(pk)
        log_context.bind(**log_context.of_build(build))
        return build, who, values.get("rebuild_strategy", "")

    def _to_be_changed(self, pk: str, user: Identity, values: Mapping[str, Any]) -> tuple[ModuleBuild, str]:
        """Return a build that the user may change, and the user in whose name the request acts."""
        build = self.row(pk)
        log_context.bind(**log_context.of_build(build))
        who = acting_for(user, values)
        require_owner(user, who, build)
        return build, who

    def _submitted(self, request: Request, builds: Sequence[ModuleBuild]) -> Response:
        """Return the answer to a submission: version 1 returns the first build, version 2 all of them."""
        answers = self.represent(builds, Shape.VERBOSE)
        return Response(answers[0] if request.version == "1" else answers, status=201)
