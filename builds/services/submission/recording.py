"""Write down the builds of a submission, in one transaction, and start them after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Min

from builds import dispatch
from builds.models import BuildRequirement, ComponentBuild, ModuleBuild, Submission
from builds.selectors.history import expected_seconds
from builds.selectors.universe import Stored
from builds.services import cancellation, transitions
from builds.services.submission.request import SubmissionRequest
from builds.services.submission.sources import Prepared
from mbs import macros, modulemd
from mbs.batches import MACROS_BATCH
from mbs.contexts import prefixed_version
from mbs.errors import Conflict, Unavailable
from mbs.expansion import ExpandedBuild
from mbs.nsvc import NSVC
from mbs.states import BuildState


def record(request: SubmissionRequest, prepared: Prepared) -> list[ModuleBuild]:
    """The builds of an expansion: new ones are recorded, failed ones resumed, others left as they are.

    :raises Conflict: all of them exist, and none had failed.
    """
    try:
        with transaction.atomic():
            return _record(request, prepared)
    except IntegrityError as error:
        raise Unavailable(
            "Somebody else submits the same module at this moment.",
            code="submitted_twice",
            hint="Submit again to see the builds.",
        ) from error


def _record(request: SubmissionRequest, prepared: Prepared) -> list[ModuleBuild]:
    builds, begun = [], 0
    seconds = expected_seconds(component.package for _, component in prepared.components)
    for expanded in prepared.expansion.builds:
        nsvc = _nsvc(request, prepared, expanded)
        build = ModuleBuild.objects.filter(
            name=nsvc.name, stream=nsvc.stream, version=nsvc.version, context=nsvc.context
        ).first()
        if build is None:
            build = _create(request, prepared, expanded, nsvc, seconds)
            begun += 1
        elif build.state == BuildState.FAILED:
            cancellation.resume(build, request.owner)
            begun += 1
        builds.append(build)
    if not begun:
        raise Conflict(
            f"Nothing to build: {'; '.join(f'{b.nsvc} is {b.state_name}' for b in builds[:10])}.",
            code="exists_already",
            hint="Commit a change to the module, or make a scratch build, to build it again.",
        )
    return builds


def _nsvc(request: SubmissionRequest, prepared: Prepared, expanded: ExpandedBuild) -> NSVC:
    """Name of a build; a scratch build gets the first suffix of its context that is free."""
    version = str(prefixed_version(prepared.version, expanded.base.stream if expanded.base else None))
    nsvc = NSVC(expanded.document.name, expanded.document.stream, version, expanded.context)
    if not request.scratch:
        return nsvc
    taken = set(
        ModuleBuild.objects.filter(name=nsvc.name, stream=nsvc.stream, version=version).values_list(
            "context", flat=True
        )
    )
    contexts = (f"{nsvc.context}_{number}" for number in count(1))
    return replace(nsvc, context=next(context for context in contexts if context not in taken))


def _create(
    request: SubmissionRequest,
    prepared: Prepared,
    expanded: ExpandedBuild,
    nsvc: NSVC,
    seconds: dict[str, float],
) -> ModuleBuild:
    document = _document(prepared, expanded, nsvc)
    required = [each for each in expanded.buildrequires.values() if isinstance(each, Stored)]
    build = ModuleBuild.objects.create(
        name=nsvc.name,
        stream=nsvc.stream,
        version=nsvc.version,
        context=nsvc.context,
        state=BuildState.INIT,
        scratch=request.scratch,
        scmurl=prepared.scmurl,
        commit=prepared.commit,
        modulemd=modulemd.dump(document),
        owner=request.owner,
        graph=any(placed.after for placed, _ in prepared.components),
        batches=max((placed.batch for placed, _ in prepared.components), default=0),
        srpms=list(request.srpms),
        rebuild_strategy=request.strategy,
        buildrequires=document.mbs["buildrequires"],
        requires=[each.requires for each in document.dependencies],
        build_context=expanded.contexts.build_context,
        build_context_no_bms=expanded.contexts.build_context_no_bms,
        runtime_context=expanded.contexts.runtime_context,
    )
    Submission.objects.create(module_build=build, request=request.repeatable())
    _name_tags(build, nsvc, expanded)
    BuildRequirement.objects.bulk_create(
        [BuildRequirement(module_build=build, required_id=each.pk) for each in required]
    )
    ComponentBuild.objects.bulk_create(_components(build, prepared, seconds))
    transitions.announce(build, [(BuildState.INIT, None)])
    dispatch.advance(build.pk)
    return build


def _document(prepared: Prepared, expanded: ExpandedBuild, nsvc: NSVC) -> modulemd.StreamV2:
    """The document as it is built: named, with the service's notes."""
    notes: dict[str, Any] = {**expanded.document.mbs, "commit": prepared.commit}
    notes["rpms"] = {component.package: {"ref": component.commit} for _, component in prepared.components}
    if prepared.scmurl:
        notes["scmurl"] = prepared.scmurl
    xmd = {**expanded.document.xmd, "mbs": notes}
    return replace(expanded.document, version=int(nsvc.version), context=nsvc.context, xmd=xmd)


def _name_tags(build: ModuleBuild, nsvc: NSVC, expanded: ExpandedBuild) -> None:
    """Set the names that hold the number of the build, or of its oldest sibling."""
    siblings = ModuleBuild.objects.filter(name=nsvc.name, stream=nsvc.stream, version=nsvc.version)
    oldest = siblings.aggregate(Min("pk"))["pk__min"]
    build.koji_tag = nsvc.koji_tag(build.pk if build.scratch else None)
    build.disttag = nsvc.disttag(
        oldest,
        marking=expanded.marking,
        scratch=build.scratch,
        prefix=settings.MBS.DEFAULT_DIST_TAG_PREFIX,
    )
    build.save(update_fields=["koji_tag", "disttag"])


def _components(
    build: ModuleBuild, prepared: Prepared, seconds: dict[str, float]
) -> Iterable[ComponentBuild]:
    """The macros, when there is anything to build with them, and the components in their batches."""
    if not prepared.components:
        return
    yield ComponentBuild(module_build=build, package=macros.PACKAGE, batch=MACROS_BATCH, build_time_only=True)
    packages = {placed.key: component.package for placed, component in prepared.components}
    for placed, component in prepared.components:
        yield ComponentBuild(
            module_build=build,
            package=component.package,
            scmurl=component.repository,
            ref=component.commit,
            batch=placed.batch,
            build_after=sorted(packages[key] for key in placed.after),
            blocked=bool(placed.after),
            arches=placed.component.arches,
            weight=seconds.get(component.package, 0.0),
        )
