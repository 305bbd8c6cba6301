"""Resolve, in init, the components that git did not answer for during the submission."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from builds.models import ComponentBuild, ModuleBuild
from builds.models.saving import save_all
from builds.services import transitions
from builds.services.submission.resubmission import CODE, different_commit, with_commits
from builds.services.submission.sources import with_allowed_names
from mbs import modulemd
from mbs.errors import MBSError, Problem
from mbs.states import BuildState, ComponentState
from scm.components import ComponentRequest, OpenComponent, VerifiedComponent, examine_components, unavailable
from scm.options import ScmOptions


def unresolved(build_id: int) -> list[ComponentBuild]:
    """Return the components of a build whose refs are not resolved to commits yet."""
    rows = ComponentBuild.objects.filter(module_build=build_id).exclude(unresolved_ref="")
    return list(rows.order_by("pk"))


def resolve(build: ModuleBuild) -> None:
    """Resolve these components in git and save their commits, or fail the build with all faults.

    A component that is complete already must have the commit that it was built from.
    """
    components = unresolved(build.pk)
    if not components:
        return
    whitelist = frozenset(modulemd.parse_stream(build.modulemd, strict=False).buildopts.rpm_whitelist)
    requests = [
        with_allowed_names(
            ComponentRequest(c.package, c.scmurl or "", c.unresolved_ref), c.buildonly, [whitelist]
        )
        for c in components
    ]
    found, problems = examine_components(requests, ScmOptions.from_options(settings.MBS))
    commits = dict(zip([component.pk for component in components], map(_commit, found), strict=True))
    with transaction.atomic():
        locked = ModuleBuild.objects.select_for_update().get(pk=build.pk)
        if locked.run != build.run or locked.state != BuildState.INIT:
            return
        problems += _record(locked, commits)
        if problems:
            transitions.fail(build.pk, _error(problems), run=build.run)


def _commit(found: VerifiedComponent | OpenComponent | None) -> str:
    return found.commit if found else ""


def _record(build: ModuleBuild, commits: dict[int, str]) -> list[Problem]:
    """Save the commits of components, by number; return a problem for each that was built from another."""
    components = list(build.component_builds.select_for_update().order_by("pk"))
    resolved, problems = [], []
    for component in components:
        commit = commits.get(component.pk, "")
        if not commit:
            continue
        if component.state == ComponentState.COMPLETE and component.ref != commit:
            problems.append(different_commit(component, commit))
        else:
            component.ref = commit
        component.unresolved_ref = ""
        resolved.append(component)
    save_all(resolved, ["ref", "unresolved_ref"])
    document = modulemd.parse_stream(build.modulemd, strict=False)
    ModuleBuild.objects.filter(pk=build.pk).update(modulemd=with_commits(document, components))
    return problems


def _error(problems: list[Problem]) -> MBSError:
    """Return one error for all faults, since a failed build has one reason."""
    faults = [problem for problem in problems if problem.code != CODE]
    error = unavailable(faults or problems)
    reasons = "; ".join(f"{problem.component}: {problem.message}" for problem in problems)
    return MBSError(
        f"{error.message} {reasons}", code=error.code if faults else CODE, hint=error.hint, problems=problems
    )
