"""From a request to module builds.

``request`` is what a user asks for and what of it is allowed; ``sources`` reads the document and what it
names; ``drafting`` makes builds of it, and ``recording`` writes them down. ``submit`` is the whole of it;
``builds.services.plan`` goes all the way but the last step.
"""

from __future__ import annotations

from builds.models import ModuleBuild
from builds.services.submission.recording import record
from builds.services.submission.request import SubmissionRequest, check
from builds.services.submission.sources import prepare

__all__ = ["SubmissionRequest", "submit"]


def submit(request: SubmissionRequest) -> list[ModuleBuild]:
    """Record the builds that a request asks for and start them.

    :return: all builds of the expansion: new ones, resumed ones, and those that exist already.
    :raises MBSError: nothing was recorded then. ``Conflict`` when all of them exist and none had failed.
    """
    check(request)
    return record(request, prepare(request))
