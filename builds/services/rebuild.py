"""Build a commit again, as a new version, without the need for an empty commit."""

from __future__ import annotations

from dataclasses import replace

from builds.models import ModuleBuild, Submission
from builds.services.submission import SubmissionRequest, submit
from mbs.errors import Conflict


def rebuild(build: ModuleBuild, who: str, *, rebuild_strategy: str = "") -> list[ModuleBuild]:
    """Submit the commit of a build again, with the options of its submission.

    The time of this request becomes the version of the new builds. Streams and branches are resolved again.

    Args:
        build: The build.
        who: Owner of the new builds.
        rebuild_strategy: Replaces the strategy of the build's submission, if given.

    Returns:
        The builds of all contexts.

    Raises:
        MBSError: As ``submit``; ``Conflict`` if the build was not submitted to this service from git.
    """
    submission = Submission.objects.filter(module_build=build).first()
    if submission is None or not build.scmurl:
        raise Conflict(
            f"Module build {build.pk} was not submitted to this service from a commit.",
            code="no_commit",
            hint="Submit its document again, which creates a new version.",
        )
    request = SubmissionRequest(owner=who, **{**submission.request, "scmurl": build.scmurl})
    return submit(
        replace(request, new_version=True, rebuild_strategy=rebuild_strategy or request.rebuild_strategy)
    )
