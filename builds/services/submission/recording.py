"""Record the builds of a submission in one transaction, and start them after it."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Min

from builds import dispatch
from builds.messaging import outbox
from builds.models import BuildRequirement, ComponentBuild, ModuleBuild, Submission
from builds.models.locking import RECORDING, hold
from builds.selectors.universe import StoredBuild
from builds.services import arches, audit, cancellation, transitions
from builds.services.submission import resubmission
from builds.services.submission.drafting import Draft, drafts
from builds.services.submission.request import SubmissionRequest
from builds.services.submission.sources import PreparedSubmission
from mbs.errors import Conflict, Unavailable
from mbs.states import BuildState


def record(request: SubmissionRequest, prepared: PreparedSubmission) -> list[ModuleBuild]:
    """Record the new builds of an expansion, resume the failed ones, and return all.

    Raises:
        Conflict: All builds exist and none has failed, or a failed one was submitted differently.
        Unavailable: The same module was submitted at the same moment.
    """
    begun: dict[int, bool] = {}
    builds: list[ModuleBuild] = []
    try:
        with transaction.atomic():
            # Without the lock, two submissions could find the same name free at the same moment.
            hold(RECORDING)
            builds += _record(request, prepared, begun)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or not _are_recorded(builds):
            raise
        for build in builds:
            if begun[build.pk]:
                outbox.flush(build.pk)
                dispatch.advance(build.pk)
    except IntegrityError as error:
        raise Unavailable(
            "The same module was submitted by another request at this moment.",
            code="submitted_twice",
            hint="Submit it again to see the builds.",
        ) from error
    return builds


def _are_recorded(builds: Sequence[ModuleBuild]) -> bool:
    """Return, by a new connection, whether the transaction was committed before the old connection broke.

    Primary keys are unique even if a transaction is rolled back, so they identify the builds.
    """
    connection.close()
    found = ModuleBuild.objects.exclude(state=BuildState.FAILED).in_bulk([build.pk for build in builds])
    return bool(builds) and all(build.pk in found and found[build.pk].nsvc == build.nsvc for build in builds)


def _record(
    request: SubmissionRequest, prepared: PreparedSubmission, begun: dict[int, bool]
) -> list[ModuleBuild]:
    """Do the work of ``record``; store in ``begun``, by number, whether each build was started or resumed."""
    _lock_failed(prepared)
    found = drafts(request, prepared)
    resubmission.check(request, prepared, found)
    builds = [draft.build for draft in found]
    if not any(draft.begins for draft in found):
        raise _exists(prepared, builds)
    for draft in found:
        if not draft.exists:
            arches.check(draft.build, draft.expanded.document, draft.components)
    for draft in found:
        begins = draft.begins
        if not draft.exists:
            _create(request, prepared, draft)
        elif begins:
            resubmission.adopt(request, draft)
            cancellation.resume(draft.build, request.owner)
        begun[draft.build.pk] = begins
    return builds


def _exists(prepared: PreparedSubmission, builds: Sequence[ModuleBuild]) -> Conflict:
    """Return the refusal of a submission all of whose builds exist, and none of which has failed."""
    named = "; ".join(f"{build.nsvc} is {build.state_name} (build {build.pk})" for build in builds[:10])
    rebuildable = next((build for build in builds if build.scmurl), None)
    if prepared.commit and rebuildable:
        return Conflict(
            f"Nothing to build: commit {prepared.commit} was submitted before: {named}.",
            code="exists_already",
            hint="Commit a change to the module. To build this commit again as a new version, rebuild it: "
            f"`mbs rebuild {rebuildable.pk}`, or POST module-builds/{rebuildable.pk}/rebuild.",
        )
    return Conflict(
        f"Nothing to build: {named}.",
        code="exists_already",
        hint="Change the module, give it another version, or make a scratch build.",
    )


def _lock_failed(prepared: PreparedSubmission) -> None:
    """Lock the failed builds that may be resumed, until this transaction ends."""
    document = prepared.documents[0]
    rows = ModuleBuild.objects.filter(
        name=document.name, stream=document.stream, version__endswith=str(prepared.version)
    )
    list(rows.filter(state=BuildState.FAILED).select_for_update().order_by("pk").values_list("pk"))


def _create(request: SubmissionRequest, prepared: PreparedSubmission, draft: Draft) -> None:
    build = draft.build
    build.save()
    Submission.objects.create(module_build=build, request=request.repeatable(), document=prepared.text)
    _name_tags(draft)
    BuildRequirement.objects.bulk_create(
        [
            BuildRequirement(module_build=build, required_id=each.pk)
            for each in draft.expanded.buildrequires.values()
            if isinstance(each, StoredBuild)
        ]
    )
    ComponentBuild.objects.bulk_create(draft.components)
    transitions.announce(build, [(BuildState.INIT, None)])
    audit.record(audit.SUBMITTED, request.owner, build, detail=build.scmurl or "")
    dispatch.advance(build.pk)


def _name_tags(draft: Draft) -> None:
    """Set the tag and the dist tag, which contain the number of the build or of its oldest sibling."""
    build, nsvc = draft.build, draft.nsvc
    siblings = ModuleBuild.objects.filter(name=nsvc.name, stream=nsvc.stream, version=nsvc.version)
    oldest = siblings.aggregate(Min("pk"))["pk__min"]
    build.koji_tag = nsvc.koji_tag(build.pk if build.scratch else None)
    build.disttag = nsvc.disttag(
        oldest,
        marking=draft.expanded.marking,
        scratch=build.scratch,
        prefix=settings.MBS.DEFAULT_DIST_TAG_PREFIX,
    )
    build.save(update_fields=["koji_tag", "disttag"])
