"""Build a commit again, as a new version, without the need for an empty commit."""

from __future__ import annotations

from dataclasses import replace

from builds.models import ModuleBuild, Submission
from builds.services import audit
from builds.services.plan import Plan, plan
from builds.services.submission import SubmissionRequest, submit
from mbs.errors import Conflict
from mbs.reuse import ALL


def rebuild(build: ModuleBuild, who: str, *, rebuild_strategy: str = "") -> list[ModuleBuild]:
    """Submit the commit of a build again, with the options of its submission.

    The time of this request becomes the version of the new builds. Streams and branches are resolved again.
    Every component is built, unless the request or the configuration selects another rebuild strategy.

    Args:
        build: Build to rebuild.
        who: Owner of the new builds.
        rebuild_strategy: Which components are built again; ``REBUILD_STRATEGY_OF_REBUILDS`` if empty.

    Returns:
        The builds of all contexts.

    Raises:
        MBSError: As ``submit``; ``Conflict`` if the build was not submitted to this service from git.
    """
    builds = submit(_request(build, who, rebuild_strategy))
    numbers = ", ".join(str(each.pk) for each in builds)
    audit.record(audit.REBUILT, who, build, detail=f"as build{'s' if len(builds) > 1 else ''} {numbers}")
    return builds


def plan_rebuild(build: ModuleBuild, who: str, *, rebuild_strategy: str = "") -> Plan:
    """Return the plan of a rebuild, without recording anything.

    Args:
        build: Build to rebuild.
        who: Owner of the new builds.
        rebuild_strategy: See ``rebuild``.

    Raises:
        MBSError: See ``rebuild``.
    """
    return plan(_request(build, who, rebuild_strategy))


def _request(build: ModuleBuild, who: str, rebuild_strategy: str) -> SubmissionRequest:
    """Return the original request, changed to a rebuild."""
    submission = Submission.objects.filter(module_build=build).first()
    if submission is None or not build.scmurl:
        raise Conflict(
            f"Module build {build.pk} was not submitted to this service from a commit.",
            code="no_commit",
            hint="Submit its document again, which creates a new version.",
        )
    then = SubmissionRequest(owner=who, **{**submission.request, "scmurl": build.scmurl})
    request = replace(then, new_version=True, rebuild_strategy=rebuild_strategy)
    # Where nothing is reused, no build is named to reuse components from.
    return replace(request, reuse_components_from="") if request.strategy == ALL else request
