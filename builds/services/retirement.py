"""Retire module builds."""

from __future__ import annotations

from django.db import transaction

from builds import dispatch
from builds.models import ModuleBuild
from builds.services import audit, log_messages, transitions
from builds.services.build_system import as_module, build_system
from buildsys.delivery import WithdrawsModules
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
            audit.record(audit.RETIRED, who, build)
            dispatch.send("workflow.withdraw", build.pk)


def withdraw(build_id: int) -> None:
    """Have the build system take a retired build out of the repository that users install from.

    Args:
        build_id: number of the build; nothing happens unless it is garbage.
    """
    build = ModuleBuild.objects.filter(pk=build_id, state=BuildState.GARBAGE).first()
    system = build_system()
    if build is None or not isinstance(system, WithdrawsModules):
        return
    system.withdraw(as_module(build))
    ModuleBuild.objects.filter(pk=build_id).update(repository_url="", repo_file_url="", install=None)
