"""Submit modules, in four steps.

``request`` checks the request. ``sources`` reads the document and everything that it names. ``drafting``
creates unsaved builds from them. ``recording`` saves and starts the builds. ``builds.services.plan`` does the
first three steps.
"""

from __future__ import annotations

from builds.models import ModuleBuild
from builds.services.submission.recording import record
from builds.services.submission.request import SubmissionRequest, check
from builds.services.submission.sources import prepare

__all__ = ["SubmissionRequest", "submit"]


def submit(request: SubmissionRequest) -> list[ModuleBuild]:
    """Record and start the builds that a request asks for.

    Returns:
        All builds of the expansion: new ones, resumed ones, and those that exist already.

    Raises:
        MBSError: The request was refused and nothing was recorded. ``Conflict``: all builds exist and none
            has failed.
    """
    check(request)
    return record(request, prepare(request))
