"""Start, resume or recover a build."""

from __future__ import annotations

from django.db import transaction

from builds import dispatch
from builds.models import ModuleBuild, Phase, clock
from builds.models.locking import locked
from builds.workflow import canvas
from mbs.states import ACTIVE, BuildState


def advance(build_id: int) -> None:
    """Begin a new run of a build, and send the canvas of everything that remains to be done.

    Starting, resuming, and recovering from a crash or an emptied broker all call this. Tasks of earlier runs
    end without effect when they read the new run number.
    """
    with transaction.atomic():
        build = locked(ModuleBuild.objects.filter(pk=build_id)).first()
        if build is None or build.state not in ACTIVE | {BuildState.DONE}:
            return
        build.run += 1
        build.progress_at = clock.now()
        if build.phase == Phase.BUILDING:
            build.phase = Phase.STARTING
        build.save(update_fields=["run", "phase", "progress_at"])
        if build.run > 1:
            dispatch.delete_all_waits(build_id)
    remaining = canvas.remaining(build)
    if remaining is not None:
        remaining.apply_async()
