"""Check components in init that git did not answer for during the submission.

The tasks have a queue of their own (``checks``), so that a git server that hangs does not block workers of
the workflow. ``SCM_CHECKS_PER_OWNER`` limits how many of its workers one owner's builds occupy.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from builds import dispatch
from builds.models import ComponentBuild, Lock, ModuleBuild, clock
from builds.services.lease import Lease
from builds.services.submission import resolving
from builds.workflow.outcomes import Park
from mbs import wait_keys
from mbs.states import BuildState

TASK = "check.components"
#: Components that the text of a wait names.
_NAMED = 5


def wait(build: ModuleBuild) -> Park | None:
    """Send the check of a build's unresolved components, and return the wait; None: all are resolved."""
    components = resolving.unresolved(build.pk)
    if not components:
        return None
    if build.checking_until is None or build.checking_until < clock.now():
        dispatch.send_now(TASK, build.pk)
    names = ", ".join(component.package for component in components[:_NAMED])
    more = f" and {len(components) - _NAMED} more" if len(components) > _NAMED else ""
    return Park(
        wait_keys.check(build.pk), f"git is asked about {names}{more}", "responses of the git servers"
    )


def check(build_id: int) -> None:
    """Check the unresolved components of a build in init.

    If ``SCM_CHECKS_PER_OWNER`` checks of the owner run already, nothing is done: each check sends the next
    one of the same owner at its end.
    """
    build = ModuleBuild.objects.filter(pk=build_id, state=BuildState.INIT).first()
    if build is None:
        return
    lease = Lease(ModuleBuild.objects.filter(pk=build_id), "checking_until", f"checks of {build}")
    if not _take_lease(build, lease):
        return
    try:
        with lease:
            resolving.resolve(build)
    finally:
        lease.end()
    dispatch.wake(wait_keys.check(build_id))
    following = _waiting(build.owner)
    if following is not None:
        dispatch.send_now(TASK, following)


def _take_lease(build: ModuleBuild, lease: Lease) -> bool:
    """Take the lease of a build if its owner has fewer than ``SCM_CHECKS_PER_OWNER`` others."""
    with transaction.atomic():
        Lock.objects.get_or_create(name="checks")
        Lock.objects.select_for_update().get(name="checks")
        running = ModuleBuild.objects.filter(owner=build.owner, checking_until__gt=clock.now())
        return running.count() < settings.MBS.SCM_CHECKS_PER_OWNER and lease.take()


def _waiting(owner: str) -> int | None:
    """Return the number of the owner's oldest build that waits for a check."""
    unresolved = ComponentBuild.objects.exclude(unresolved_ref="")
    free = Q(checking_until=None) | Q(checking_until__lt=clock.now())
    rows = ModuleBuild.objects.filter(
        free, owner=owner, state=BuildState.INIT, pk__in=unresolved.values("module_build")
    )
    return rows.order_by("pk").values_list("pk", flat=True).first()
