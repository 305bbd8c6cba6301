"""The steps of builds as Celery tasks, on the queue ``workflow``."""

from __future__ import annotations

from math import ceil
from typing import Literal, TypedDict

from celery import Task, shared_task
from django.conf import settings

from builds.services import cancellation, components, retirement, transitions
from builds.workflow import advance as advancing
from builds.workflow import buildafter, steps, sweeps
from builds.workflow.parking import OUTAGES, perform
from mbs.errors import MBSError


class _Patient(TypedDict):
    autoretry_for: tuple[type[Exception], ...]
    retry_backoff: bool
    retry_backoff_max: int
    max_retries: None


class _Step(TypedDict):
    bind: Literal[True]
    max_retries: None


#: Retry for as long as an outage lasts, at growing intervals.
_PATIENT: _Patient = {
    "autoretry_for": OUTAGES,
    "retry_backoff": True,
    "retry_backoff_max": ceil(settings.MBS.RETRY_BACKOFF_MAX),
    "max_retries": None,
}
#: ``perform`` retries for as long as an outage lasts; Celery's default is three retries.
_STEP: _Step = {"bind": True, "max_retries": None}


def _fail_build(error: MBSError, build_id: int, run: int, *_: int) -> bool:
    transitions.fail(build_id, error, run=run)
    return False


def _fail_component(error: MBSError, build_id: int, run: int, component_id: int) -> bool:
    components.fail(component_id, error.message, run=run)
    return True


@shared_task(name="workflow.advance", **_PATIENT)
def advance(build_id: int) -> None:
    """Send the canvas of everything that remains to be done for a build."""
    advancing.advance(build_id)


@shared_task(**_STEP, name="workflow.initialize")
def initialize(self: Task[..., None], build_id: int, run: int) -> None:
    """Run ``steps.initialize``."""
    perform(self, steps.initialize, build_id, run, give_up=_fail_build)


@shared_task(**_STEP, name="workflow.prepare")
def prepare(self: Task[..., None], build_id: int, run: int) -> None:
    """Run ``steps.prepare``."""
    perform(self, steps.prepare, build_id, run, give_up=_fail_build)


@shared_task(**_STEP, name="workflow.start_batch")
def start_batch(self: Task[..., None], build_id: int, run: int, after: int) -> None:
    """Run ``steps.start_batch``."""
    perform(self, steps.start_batch, build_id, run, after, give_up=_fail_build)


@shared_task(**_STEP, name="workflow.submit_given")
def submit_given(self: Task[..., None], build_id: int, run: int) -> None:
    """Run ``steps.submit_given``."""
    perform(self, steps.submit_given, build_id, run, give_up=_fail_build)


@shared_task(**_STEP, name="workflow.build_component")
def build_component(self: Task[..., None], build_id: int, run: int, component_id: int) -> None:
    """Run ``steps.build_component``; an error fails the component, and the chord continues."""
    perform(
        self,
        steps.build_component,
        build_id,
        run,
        component_id,
        give_up=_fail_component,
        component_id=component_id,
    )


@shared_task(**_STEP, name="workflow.finish_batch")
def finish_batch(self: Task[..., None], build_id: int, run: int, batch: int) -> None:
    """Run ``steps.finish_batch``."""
    perform(self, steps.finish_batch, build_id, run, batch, give_up=_fail_build)


@shared_task(**_STEP, name="workflow.tag_batch")
def tag_batch(self: Task[..., None], build_id: int, run: int, batch: int) -> None:
    """Run ``steps.tag_batch``."""
    perform(self, steps.tag_batch, build_id, run, batch, give_up=_fail_build)


@shared_task(**_STEP, name="workflow.regenerate_repo")
def regenerate_repo(self: Task[..., None], build_id: int, run: int, batch: int) -> None:
    """Run ``steps.regenerate_repo``."""
    perform(self, steps.regenerate_repo, build_id, run, batch, give_up=_fail_build)


@shared_task(**_STEP, name="workflow.renew_buildroot")
def renew_buildroot(self: Task[..., None], build_id: int, run: int) -> None:
    """Run ``steps.renew_buildroot``, then start it again if further builds ended meanwhile."""
    perform(self, steps.renew_buildroot, build_id, run, give_up=_fail_build)
    buildafter.renew_again(build_id, run)


@shared_task(**_STEP, name="workflow.finalize")
def finalize(self: Task[..., None], build_id: int, run: int) -> None:
    """Run ``steps.finalize``."""
    perform(self, steps.finalize, build_id, run, give_up=_fail_build)


# Neither of the next two is retried: sweeps do both until they succeed. Retries would pile up during an
# outage, and would be lost with the content of the broker.
@shared_task(name="workflow.stop_components", throws=OUTAGES)
def stop_components(build_id: int) -> None:
    """Cancel the components that still build for an ended build."""
    components.stop(build_id)


@shared_task(name="workflow.abandon", throws=OUTAGES)
def abandon(build_id: int, run: int) -> None:
    """Tell the build system that a build has failed, so that it stops the build's preparations."""
    cancellation.abandon(build_id, run)


@shared_task(name="workflow.withdraw", **_PATIENT)
def withdraw(build_id: int) -> None:
    """Take a retired build out of the repository that users install from."""
    retirement.withdraw(build_id)


@shared_task(name="workflow.recover_lost", ignore_result=True)
def recover_lost(sent_at: float) -> None:
    """Advance builds that have no task left, and wake tasks whose wake-up was lost."""
    sweeps.recover_lost(sent_at)
