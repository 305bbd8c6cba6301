"""The Celery canvas of everything that remains to be done for a build.

Task ids are derived from the step and its arguments, so sending a canvas twice does no harm: a chord counts
each member once, and a parked task has one row. The id of a chord includes its members: sent again with fewer
members it must be another chord, or it would end too early.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from celery import Signature, chain, current_app

from builds.models import ComponentBuild, ModuleBuild, Phase
from mbs.states import BuildState

#: Header of a task that has a row of ``Wait`` before it is sent.
PARKED = "mbs_parked"
_NAMESPACE = uuid.UUID("d2a6c0b2-9f0e-4a86-b8a5-6a7d3b1f5e0c")


def _id(*parts: object) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


def _step(name: str, build: ModuleBuild, *args: int) -> Signature:
    return current_app.signature(
        f"workflow.{name}",
        (build.pk, build.run, *args),
        immutable=True,
        task_id=_id(name, build.pk, build.run, *args),
        # Otherwise Celery would subscribe to the result of each task, in processes that are not workers.
        ignore_result=True,
    )


def _parked(step: Signature[Any], **options: Any) -> Signature[Any]:
    """Return the task as one that has a row of ``Wait``, with further options."""
    return step.set(**options | {"headers": {PARKED: True}})


def remaining(build: ModuleBuild) -> Signature | None:
    """Return the canvas that finishes a build from its current state and phase; None: nothing remains.

    For a batch that is building, ``start_batch`` sends the chord again, and submits unsubmitted components.
    """
    start = _step("start_batch", build, build.batch)
    match build.state, build.phase:
        case BuildState.INIT, _:
            return chain(_step("initialize", build), _step("prepare", build), start)
        case BuildState.WAIT, _:
            return chain(_step("prepare", build), start)
        case BuildState.BUILD, Phase.TAGGING:
            return chain(_step("tag_batch", build, build.batch), *_after_tagging(build))
        case BuildState.BUILD, Phase.REGENERATING:
            return chain(*_after_tagging(build))
        case BuildState.BUILD, Phase.STARTING | Phase.BUILDING:
            return _step("start_batch", build, build.batch - 1)
        case (BuildState.BUILD, Phase.FINALIZING) | (BuildState.DONE, _):
            return finalize(build)
        case BuildState.BUILD, _:
            return start
    return None


def header(build: ModuleBuild, components: Sequence[ComponentBuild]) -> list[Signature]:
    """Begin a chord with a task for each of these components of the current batch.

    The tasks are not sent, since the caller parks them at once. Sending them first doubled the messages of a
    component. A task counts as done when its component has ended.

    Returns:
        The tasks, in the order of the components.
    """
    chord_id = _id("batch", build.pk, build.run, build.batch, *[component.pk for component in components])
    current_app.backend.set_chord_size(chord_id, len(components))
    behind = after_components(build)
    return [
        _parked(
            _step("build_component", build, component.pk),
            task_id=_id(chord_id, component.pk),
            group_id=chord_id,
            chord=behind,
        )
        for component in components
    ]


def after_components(build: ModuleBuild) -> Signature:
    """Return the chain that follows the components of the current batch."""
    return chain(_step("finish_batch", build, build.batch), *_after_tagging(build))


def finalize(build: ModuleBuild) -> Signature:
    """Return the last step of a build, after all batches."""
    return _step("finalize", build)


def renew_buildroot(build: ModuleBuild) -> Signature:
    """Return the task that updates the buildroot for ``buildafter``; there is one for each run of a build."""
    return _parked(_step("renew_buildroot", build))


def _after_tagging(build: ModuleBuild) -> list[Signature]:
    if build.batch == build.batches:
        return [finalize(build)]
    return [_step("regenerate_repo", build, build.batch), _step("start_batch", build, build.batch)]
