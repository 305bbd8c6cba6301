"""Build a commit once more, as a new version: what an empty commit used to be made for."""

from __future__ import annotations

from dataclasses import replace

from builds.models import ModuleBuild, Submission
from builds.services.submission import SubmissionRequest, submit
from mbs.errors import Conflict


def rebuild(build: ModuleBuild, who: str, *, rebuild_strategy: str = "") -> list[ModuleBuild]:
    """Submit the commit of a build again, with everything that was asked for then.

    The version of the new builds is the time of this request. Streams and branches of components are
    looked up anew.

    :param who: the owner of the new builds.
    :param rebuild_strategy: instead of the one of then.
    :return: the builds of all contexts.
    :raises MBSError: as ``submit``; ``Conflict`` when the build was not submitted here from git.
    """
    submission = Submission.objects.filter(module_build=build).first()
    if submission is None or not build.scmurl:
        raise Conflict(
            f"Module build {build.pk} was not submitted here from a commit.",
            code="no_commit",
            hint="Submit its document again: that makes a new version.",
        )
    request = SubmissionRequest(owner=who, **{**submission.request, "scmurl": build.scmurl})
    return submit(
        replace(request, new_version=True, rebuild_strategy=rebuild_strategy or request.rebuild_strategy)
    )
