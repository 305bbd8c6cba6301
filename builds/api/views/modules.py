"""The view of module builds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import actions, filtersets, parameters, serializers
from builds.api.openapi.operations import BUILDING, Operation
from builds.api.parameters import Shape
from builds.api.permissions import acting_for, require_owner, require_submitter
from builds.api.submissions import submission_request
from builds.api.views.base import BuildViewSet, by_id
from builds.clients import client_at
from builds.models import ModuleBuild
from builds.representations import DEFAULT_COLUMNS, SHORT_COLUMNS, VERBOSE_COLUMNS
from builds.services import comparison, health
from builds.services.rebuild import plan_rebuild
from builds.services.submission import submit
from builds.shapes import ModuleBuildVerbose, lists
from builds.shapes.comparison import Comparison
from builds.shapes.plans import Plan
from mbs.errors import InvalidInput, NotFound
from mbs.states import BuildState
from mbs.text import whole_number

#: The values of ``state`` that a PATCH accepts.
FAILED = (BuildState.FAILED.word, str(int(BuildState.FAILED)))
#: Version 1 returns the first build of a submission, version 2 all.
SUBMITTED = {"1": ModuleBuildVerbose, "2": list[ModuleBuildVerbose]}


class ModuleBuildViewSet(BuildViewSet):
    """List, show, compare, submit, cancel, retry, rebuild and retire module builds."""

    noun = "module build"
    tag = "module builds"
    operations = {
        "list": Operation(
            "list_module_builds", lists.ModuleBuildPage, (429, 501), summary="List module builds"
        ),
        "retrieve": Operation("get_module_build", lists.AnyModuleBuild, summary="Show one module build"),
        "create": Operation("submit", SUBMITTED, BUILDING, 201),
        "partial_update": Operation("cancel", ModuleBuildVerbose, (409,)),
        "retry": Operation("retry", ModuleBuildVerbose, (409,)),
        "rebuild": Operation("rebuild", SUBMITTED, BUILDING, 201),
        "plan_rebuild": Operation("plan_rebuild", Plan, BUILDING),
        "retire": Operation("retire", ModuleBuildVerbose, (409,)),
        "compare": Operation("compare", Comparison),
        "messages": Operation(
            "list_module_messages", lists.LogMessagePage, summary="List the log messages of a module build"
        ),
    }
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
        "retire": serializers.OwnerSerializer,
    }

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Submit a module."""
        user = require_submitter(self.identity)
        wanted = submission_request(user, self.read())
        health.require_broker()
        return self._submitted(request, submit(wanted))

    def partial_update(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Cancel a module build."""
        user = actions.CANCEL.require(self.identity)
        values = self.read()
        build = self.row(pk)
        require_owner(user, acting_for(user, values), build)
        if values.get("state") not in FAILED:
            raise InvalidInput(
                "The key 'state' must be 'failed'.",
                code="invalid_state",
                hint='Send {"state": "failed"} to cancel the build. Nothing else can be changed.',
            )
        return self._changed(actions.CANCEL.carry_out(user, build, values))

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Resume a failed build. Components that are built stay built."""
        return self._changed(self._act(actions.RETRY, pk))

    @action(detail=True, methods=["post"])
    def rebuild(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Build the same commit again, as a new version."""
        return self._submitted(request, self._act(actions.REBUILD, pk))

    @action(detail=True, methods=["post"], url_path="rebuild/plan", url_name="rebuild-plan")
    def plan_rebuild(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Preview a rebuild."""
        user = require_submitter(self.identity)
        values = self.read()
        who = acting_for(user, values)
        build = self.row(pk)
        strategy = values.get("rebuild_strategy", "")
        return Response(plan_rebuild(build, who, rebuild_strategy=strategy).as_dict())

    @action(detail=True, methods=["post"])
    def retire(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Take a module build out of service. It must be ready or failed; for admins."""
        return self._changed(self._act(actions.RETIRE, pk))

    @action(detail=True, methods=["get"])
    def compare(self, request: Request, pk: str, other: str = "", **kwargs: Any) -> Response:
        """Compare with another module build, by default the last ready one of the stream before it."""
        build, named = self.row(pk), other or request.query_params.get("with", "")
        if not named:
            old = comparison.former(build)
            if old is None:
                raise NotFound(
                    f"There is no ready build of {build.nsvc.ns} before module build {pk}.",
                    code="nothing_to_compare",
                    hint="Name another build in the parameter 'with'.",
                )
        elif whole_number(named) is not None:
            old = self.row(named)
        else:
            raise parameters.invalid("with", "Write the number of a module build.")
        everything = parameters.flag(request, "all")
        return Response(
            comparison.compare(
                old, build, everything=everything, client=client_at(request.META.get("REMOTE_ADDR", ""))
            )
        )

    def known_parameters(self) -> set[str]:
        """Return the parameters of this request."""
        return {"with", "all"} if self.action == "compare" else super().known_parameters()

    def _act(self, wanted: actions.Action, pk: str) -> Sequence[ModuleBuild]:
        user = wanted.require(self.identity)
        values = self.read()
        return wanted.carry_out(user, self.row(pk), values)

    def _changed(self, builds: Sequence[ModuleBuild]) -> Response:
        return Response(self.represent(builds, Shape.VERBOSE)[0])

    def _submitted(self, request: Request, builds: Sequence[ModuleBuild]) -> Response:
        """Return the answer to a submission: version 1 returns the first build, version 2 all of them."""
        answers = self.represent(builds, Shape.VERBOSE)
        return Response(answers[0] if request.version == "1" else answers, status=201)
