"""Compute what a submission would do, and why, without recording anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from builds.models import ComponentBuild
from builds.services import arches, components, reuse
from builds.services.build_system import as_module, build_system
from builds.services.submission import resubmission
from builds.services.submission.drafting import Draft, drafts
from builds.services.submission.request import SubmissionRequest, check
from builds.services.submission.sources import PreparedSubmission, prepare
from mbs.critical_path import Work, critical_path
from mbs.reuse import Decision
from mbs.states import ComponentState


@dataclass(frozen=True)
class PlannedBuild:
    """One build of the expansion.

    Attributes:
        draft: The build, as it is or would be.
        components: Its components, including reused ones.
        reuse: The decisions about reuse, for a new build.
    """

    draft: Draft
    components: Sequence[ComponentBuild]
    reuse: reuse.Reuse | None = None

    @property
    def action(self) -> str:
        """Return ``build`` for a new build, ``resume`` for a failed one, ``keep`` for one left as it is."""
        if not self.draft.exists:
            return "build"
        return "resume" if self.draft.begins else "keep"

    def to_build(self) -> list[ComponentBuild]:
        """Return the components that are neither reused nor built already."""
        taken = self.reuse.taken if self.reuse else {}
        return [
            each
            for each in self.components
            if self.draft.begins and each.package not in taken and each.state != ComponentState.COMPLETE
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the build for JSON."""
        build, former = self.draft.build, self.reuse.former if self.reuse else None
        return {
            "action": self.action,
            "id": build.pk,
            "state_name": build.state_name if self.draft.exists else None,
            "nsvc": str(self.draft.nsvc),
            "name": build.name,
            "stream": build.stream,
            "version": build.version,
            "context": build.context,
            **{key: value for key, value in self.draft.expanded.as_dict().items() if key != "context"},
            "rebuild_strategy": build.rebuild_strategy,
            "reused_module": {"id": former.pk, "nsvc": str(former.nsvc)} if former else None,
            "graph": build.graph,
            "batches": [
                {"batch": number, "components": [self._component(each) for each in members]}
                for number, members in groupby(self.components, lambda each: each.batch)
            ],
            "critical_path": self._critical_path(),
        }

    def _component(self, component: ComponentBuild) -> dict[str, Any]:
        decisions: dict[str, Decision] = (
            {each.package: each for each in self.reuse.decisions} if self.reuse else {}
        )
        return {
            "package": component.package,
            "scmurl": component.scmurl,
            "ref": component.ref,
            "arches": component.arches or component.module_build.arch_names,
            "build_after": component.build_after,
            "state_name": component.state_name,
            "seconds": component.weight or None,
            "reuse": self._reuse(decisions.get(component.package)),
        }

    def _reuse(self, decision: Decision | None) -> dict[str, Any] | None:
        if decision is None:
            return None
        source = self.reuse.taken.get(decision.package) if self.reuse else None
        return {
            "reused": decision.reused,
            "code": decision.code,
            "detail": decision.detail,
            "former": decision.former,
            "present": decision.present,
            "nvr": source.nvr if source else None,
        }

    def _critical_path(self) -> dict[str, Any]:
        works = [
            Work(each.package, each.batch, each.weight, frozenset(each.build_after))
            for each in self.to_build()
        ]
        found = critical_path(works)
        return {
            "seconds": found.seconds,
            "packages": list(found.packages),
            "unknown": sorted(work.package for work in works if not work.seconds),
        }


@dataclass(frozen=True)
class Plan:
    """The plan of a submission."""

    request: SubmissionRequest
    prepared: PreparedSubmission
    builds: Sequence[PlannedBuild]

    def as_dict(self) -> dict[str, Any]:
        """Return the plan for JSON."""
        warnings: Mapping[str, Sequence[str]] = {
            component.package: component.warnings for _, component in self.prepared.components
        }
        found = self.prepared.expansion
        return {
            "scmurl": self.prepared.scmurl,
            "commit": self.prepared.commit or None,
            "scratch": self.request.scratch,
            "builds": [build.as_dict() for build in self.builds],
            "rejected": [each.as_dict() for each in found.rejected],
            "trace": [each.as_dict() for each in found.trace],
            "warnings": [
                {"component": package, "message": text}
                for package, texts in warnings.items()
                for text in texts
            ]
            + [
                {
                    "component": package,
                    "message": f"rpm_component_ref_overrides names {package}, "
                    "which is not a component; it is ignored.",
                }
                for package in self.prepared.unknown_refs(self.request)
            ],
        }


def plan(request: SubmissionRequest) -> Plan:
    """Do the first three steps of a submission: check, prepare and draft.

    Raises:
        MBSError: A submission would be refused. That all builds exist already is not an error here.
    """
    check(request)
    prepared = prepare(request)
    found = drafts(request, prepared)
    resubmission.check(request, prepared, found)
    return Plan(request, prepared, [_planned(draft) for draft in found])


def _planned(draft: Draft) -> PlannedBuild:
    if draft.exists:
        resubmission.update_sources(draft)
        return PlannedBuild(draft, draft.components)
    build = draft.build
    build.arch_names = arches.choose(build, build_system().arches(as_module(build)), draft.components)
    found = reuse.compare(build, [each for each in draft.components if not each.build_time_only])
    kept = [each for each in draft.components if not (found.all_reused and each.build_time_only)]
    components.set_estimates(each for each in kept if each.package not in found.taken)
    return PlannedBuild(draft, kept, found)
