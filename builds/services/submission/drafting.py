"""Draft the builds of a submission: unsaved rows, for plans and for recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from builds.models import ComponentBuild, ModuleBuild, clock
from builds.selectors.history import expected_seconds
from builds.services.submission.request import SubmissionRequest
from builds.services.submission.sources import PreparedSubmission
from mbs import macros, modulemd
from mbs.batches import MACROS_BATCH
from mbs.contexts import prefixed_version
from mbs.expansion import ExpandedBuild
from mbs.nsvc import NSVC
from mbs.states import BuildState


@dataclass(frozen=True)
class Draft:
    """One build of an expansion.

    Attributes:
        expanded: Result of the expansion.
        nsvc: Its name.
        exists: Whether the build is recorded already.
        build: The recorded build if it exists, otherwise an unsaved one.
        components: The components of ``build``, saved or unsaved like it.
        wanted: For a failed build, the unsaved build and components that it would be if it were new.
    """

    expanded: ExpandedBuild
    nsvc: NSVC
    exists: bool
    build: ModuleBuild
    components: list[ComponentBuild]
    wanted: tuple[ModuleBuild, list[ComponentBuild]] | None = None

    @property
    def begins(self) -> bool:
        """Return whether submitting it starts or resumes the build: it is new, or has failed."""
        return not self.exists or self.build.state == BuildState.FAILED


def drafts(request: SubmissionRequest, prepared: PreparedSubmission) -> list[Draft]:
    """Return the drafts of all builds of an expansion, in its order."""
    packages = [component.package for _, component in prepared.components]
    seconds = expected_seconds([macros.PACKAGE, *packages])
    return [_draft(request, prepared, expanded, seconds) for expanded in prepared.expansion.builds]


def _draft(
    request: SubmissionRequest,
    prepared: PreparedSubmission,
    expanded: ExpandedBuild,
    seconds: Mapping[str, float],
) -> Draft:
    nsvc = _nsvc(request, prepared, expanded)
    known = ModuleBuild.objects.filter(
        name=nsvc.name, stream=nsvc.stream, version=nsvc.version, context=nsvc.context
    ).first()
    if known is not None and known.state != BuildState.FAILED:
        return Draft(expanded, nsvc, True, known, list(known.component_builds.order_by("batch", "pk")))
    build = _build(request, prepared, expanded, nsvc)
    wanted = build, list(_components(build, prepared, seconds))
    if known is None:
        return Draft(expanded, nsvc, False, *wanted)
    return Draft(expanded, nsvc, True, known, list(known.component_builds.order_by("batch", "pk")), wanted)


def _nsvc(request: SubmissionRequest, prepared: PreparedSubmission, expanded: ExpandedBuild) -> NSVC:
    """Return the name of a build. A scratch build gets the first free suffix of its context."""
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


def _build(
    request: SubmissionRequest, prepared: PreparedSubmission, expanded: ExpandedBuild, nsvc: NSVC
) -> ModuleBuild:
    """Return the unsaved build, without the names that depend on its number."""
    document, now = _document(prepared, expanded, nsvc), clock.now()
    return ModuleBuild(
        started_at=now,
        progress_at=now,
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
        reuse_components_from=prepared.reuse_from,
        buildrequires=document.mbs["buildrequires"],
        requires=[each.requires for each in document.dependencies],
        build_context=expanded.contexts.build_context,
        build_context_no_bms=expanded.contexts.build_context_no_bms,
        runtime_context=expanded.contexts.runtime_context,
    )


def _document(prepared: PreparedSubmission, expanded: ExpandedBuild, nsvc: NSVC) -> modulemd.StreamV2:
    """Return the document of a build, with its name and ``xmd.mbs``."""
    notes: dict[str, Any] = {**expanded.document.mbs, "commit": prepared.commit}
    notes["rpms"] = {
        component.package: {"ref": component.commit}
        for _, component in prepared.components
        if component.commit
    }
    if prepared.scmurl:
        notes["scmurl"] = prepared.scmurl
    xmd = {**expanded.document.xmd, "mbs": notes}
    return replace(expanded.document, version=int(nsvc.version), context=nsvc.context, xmd=xmd)


def _components(
    build: ModuleBuild, prepared: PreparedSubmission, seconds: Mapping[str, float]
) -> Iterator[ComponentBuild]:
    """Yield module-build-macros and the components in their batches; nothing if there are no components."""
    if not prepared.components:
        return
    yield ComponentBuild(
        module_build=build,
        package=macros.PACKAGE,
        batch=MACROS_BATCH,
        build_time_only=True,
        weight=seconds.get(macros.PACKAGE, 0.0),
    )
    packages = {placed.key: component.package for placed, component in prepared.components}
    for placed, component in prepared.components:
        yield ComponentBuild(
            module_build=build,
            package=component.package,
            scmurl=component.repository,
            ref=component.commit or None,
            unresolved_ref="" if component.commit else component.ref,
            batch=placed.batch,
            build_after=sorted(packages[key] for key in placed.after),
            blocked=bool(placed.after),
            arches=placed.component.arches,
            buildonly=placed.component.buildonly,
            weight=seconds.get(component.package, 0.0),
        )
