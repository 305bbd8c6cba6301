"""Retire module builds."""

from __future__ import annotations

from django.db import transaction

from builds.models import ModuleBuild
from builds.services import log_messages, transitions
from mbs.errors import Conflict
from mbs.states import TRANSITIONS, BuildState


def retire(build: ModuleBuild, who: str) -> None:
    """Move a ready or failed build to garbage, so that no new builds are made against it.

    Raises:
        Conflict: The build is in another state.
    """
    if build.state == BuildState.GARBAGE:
        return
    if BuildState.GARBAGE not in TRANSITIONS[BuildState(build.state)]:
        raise Conflict(
            f"Module build {build.pk} is {build.state_name}: only ready and failed builds can be retired.",
            code="not_retirable",
            hint="Cancel an active build first.",
        )
    reason = f"Retired by {who}."
    with transaction.atomic():
        if transitions.move(build, BuildState.GARBAGE, reason=reason):
            log_messages.add([(build, reason)])
