"""Submit a failed build again: compare the new submission with the recorded one.

New commits of unfinished components are adopted. All other differences are refused, each with a problem,
because the finished components would not match the submission.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from builds.models import ComponentBuild, ModuleBuild, Submission
from builds.models.saving import save_all
from builds.services.submission.drafting import Draft
from builds.services.submission.request import SubmissionRequest
from builds.services.submission.sources import PreparedSubmission
from mbs import modulemd
from mbs.errors import Conflict, InvalidInput, MBSError, Problem
from mbs.modulemd.dumping import as_dict
from mbs.states import ComponentState

CODE = "submitted_differently"
_STRATEGY = "rebuild_strategy"
_ADOPTED = ["scmurl", "ref", "unresolved_ref"]
#: Columns of a component that must not change -> keys of the document that set them.
_FIXED = {"batch": "buildorder", "build_after": "buildafter", "arches": "arches"}


def check(request: SubmissionRequest, prepared: PreparedSubmission, drafts: Sequence[Draft]) -> None:
    """Refuse the submission if a failed build among the drafts was submitted differently.

    Raises:
        Conflict: ``problems`` names each difference.
        InvalidInput: The same, if the rebuild strategy is one of the differences, as in MBS 3.9.2.
    """
    problems = {
        problem: None
        for draft in drafts
        if draft.wanted
        for problem in _differences(request, prepared, draft)
    }
    if problems:
        other_strategy = any(problem.key == _STRATEGY for problem in problems)
        kind = InvalidInput if other_strategy else Conflict
        raise refusal([draft.build for draft in drafts if draft.wanted], list(problems), kind)


def refusal(
    builds: Sequence[ModuleBuild], problems: Sequence[Problem], kind: type[MBSError] = Conflict
) -> MBSError:
    """Return the error of failed builds that were submitted differently."""
    names = ", ".join(str(build.nsvc) for build in builds[:10])
    return kind(
        f"{names} failed and was submitted differently: " + "; ".join(each.message for each in problems),
        code=CODE,
        hint="Commit a change to the module to build it as it is now, or retry the build to resume it.",
        problems=problems,
    )


def adopt(request: SubmissionRequest, draft: Draft) -> None:
    """Save the changes that a failed build adopts from a submission, after ``check`` has accepted it.

    The caller resumes the build in the same transaction.
    """
    build = draft.build
    changed = update_sources(draft)
    save_all(changed, _ADOPTED)
    if changed:
        build.modulemd = _document(draft)
        ModuleBuild.objects.filter(pk=build.pk).update(modulemd=build.modulemd)
    submission = Submission.objects.filter(module_build=build).first()
    if submission is not None:
        refs = "rpm_component_ref_overrides"
        kept = {key: value for key, value in submission.request.items() if key != refs}
        submission.request = kept | request.repeatable()
        submission.save(update_fields=["request"])


def update_sources(draft: Draft) -> list[ComponentBuild]:
    """Set the new sources of unfinished components; return the changed components, unsaved.

    A finished component gets an unresolved ref if git has not answered yet; its commit is compared in init.
    """
    changed = []
    for old, new in _pairs(draft):
        if old.state == ComponentState.COMPLETE:
            values = {"unresolved_ref": new.unresolved_ref}
        else:
            values = {name: getattr(new, name) for name in _ADOPTED}
        if any(getattr(old, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(old, name, value)
            changed.append(old)
    return changed


def different_commit(component: ComponentBuild, commit: str) -> Problem:
    """Return the problem of a finished component whose commit differs from the submitted one."""
    return Problem(
        CODE,
        f"{component.package} is built from {component.ref}, and was submitted as {commit}",
        component=component.package,
        key=f"data.components.rpms.{component.package}.ref",
    )


def _pairs(draft: Draft) -> list[tuple[ComponentBuild, ComponentBuild]]:
    """Return pairs of recorded and drafted components of a failed build, without module-build-macros."""
    new = {each.package: each for each in draft.wanted[1]} if draft.wanted else {}
    return [
        (old, new[old.package]) for old in draft.components if not old.build_time_only and old.package in new
    ]


def _differences(request: SubmissionRequest, prepared: PreparedSubmission, draft: Draft) -> Iterator[Problem]:
    assert draft.wanted is not None
    old, (new, _) = draft.build, draft.wanted
    if request.rebuild_strategy and request.rebuild_strategy != old.rebuild_strategy:
        yield _option(_STRATEGY, old.rebuild_strategy, request.rebuild_strategy)
    if prepared.reuse_from and prepared.reuse_from.pk != old.reuse_components_from_id:
        before = str(old.reuse_components_from.nsvc) if old.reuse_components_from else None
        yield _option("reuse_components_from", before, str(prepared.reuse_from.nsvc))
    if old.scmurl != new.scmurl:
        yield _option("scmurl", old.scmurl, new.scmurl)
    for key in _different_keys(_authored(old.modulemd), _authored(new.modulemd)):
        yield Problem(CODE, f"the document has another {key}", key=key)
    yield from _component_differences(draft)


def _component_differences(draft: Draft) -> Iterator[Problem]:
    assert draft.wanted is not None
    packages = [
        {each.package for each in some if not each.build_time_only}
        for some in (draft.components, draft.wanted[1])
    ]
    for package in sorted(packages[0] ^ packages[1]):
        what = "is not a component any more" if package in packages[0] else "is a new component"
        yield Problem(CODE, f"{package} {what}", component=package)
    for old, new in _pairs(draft):
        for column, key in _FIXED.items():
            if getattr(old, column) != getattr(new, column):
                yield Problem(
                    CODE,
                    f"{old.package} has another {key}",
                    component=old.package,
                    key=f"data.components.rpms.{old.package}.{key}",
                )
        if old.state == ComponentState.COMPLETE and new.ref and old.ref != new.ref:
            yield different_commit(old, new.ref)


def _option(key: str, old: object, new: object) -> Problem:
    return Problem(CODE, f"{key} was {old or 'left out'}, and is {new or 'left out'}", key=key)


def _authored(document: str) -> Mapping[str, Any]:
    """Return a document without ``xmd.mbs`` and without the refs of components."""
    plain: dict[str, Any] = as_dict(modulemd.parse_stream(document, strict=False))
    data = plain["data"]
    data.get("xmd", {}).pop("mbs", None)
    if not data.get("xmd"):
        data.pop("xmd", None)
    for component in data.get("components", {}).get("rpms", {}).values():
        component.pop("ref", None)
    return plain


def _different_keys(old: object, new: object, where: str = "") -> list[str]:
    """Return the dotted names of keys that differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted({*old, *new}, key=str)
        return [
            name
            for key in keys
            for name in _different_keys(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
        ]
    return [] if old == new else [where]


def _document(draft: Draft) -> str:
    """Return the document of the build with the new refs."""
    assert draft.wanted is not None
    new = modulemd.parse_stream(draft.wanted[0].modulemd, strict=False)
    return with_commits(
        replace(modulemd.parse_stream(draft.build.modulemd, strict=False), rpm_components=new.rpm_components),
        draft.components,
    )


def with_commits(document: modulemd.StreamV2, components: Sequence[ComponentBuild]) -> str:
    """Return the text of a document whose ``xmd.mbs.rpms`` has the commits of these components."""
    notes = {c.package: {"ref": c.ref} for c in components if not c.build_time_only and c.ref}
    xmd = {**document.xmd, "mbs": {**document.mbs, "rpms": notes}}
    return modulemd.dump(replace(document, xmd=xmd))
