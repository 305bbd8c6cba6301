"""The Celery canvas of what remains to be done for a build.

Task ids are made from what the task is about, so that sending a canvas twice is the same canvas: a
chord counts each part once, and a parked task has one row. The members of a chord are part of what it and
its tasks are about: sent again with fewer, it is another chord, or it would end before its parts.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from celery import Signature, chain, current_app

from builds.models import ComponentBuild, ModuleBuild, Phase
from mbs.states import BuildState

#: header of a task that has a row of ``Wait`` before it is sent
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
        # Else Celery would subscribe to the result of each, in processes that are no workers.
        ignore_result=True,
    )


def remaining(build: ModuleBuild) -> Signature | None:
    """What is to be sent to finish a build from where it stands; None: nothing, or it is elsewhere.

    A batch that is building is sent by ``start_batch``, which also submits what was not submitted.
    """
    start = _step("start_batch", build, build.batch)
    match build.state, build.phase:
        case BuildState.INIT, _:
            return chain(_step("initialize", build), _step("prepare", build), start)
        case BuildState.WAIT, _:
            return chain(_step("prepare", build), start)
        case BuildState.BUILD, Phase.TAGGING | Phase.REGENERATING:
            return _after_building(build, tagged=build.phase == Phase.REGENERATING)
        case BuildState.BUILD, Phase.STARTING | Phase.BUILDING:
            return _step("start_batch", build, build.batch - 1)
        case (BuildState.BUILD, Phase.FINALIZING) | (BuildState.DONE, _):
            return finalize(build)
        case BuildState.BUILD, _:
            return start
    return None


def header(build: ModuleBuild, components: Sequence[ComponentBuild]) -> list[Signature]:
    """Begin a chord: a task for each of these components of the present batch, and the chain behind them all.

    Nothing is sent: each task can be parked at once, and is done when its component has ended. Sending all
    of them first, only to have them parked, doubled the messages of a component.

    Returns:
        the tasks, in the order of the components.
    """
    chord_id = _id("batch", build.pk, build.run, build.batch, *[component.pk for component in components])
    current_app.backend.set_chord_size(chord_id, len(components))
    behind = after_components(build)
    return [
        _step("build_component", build, component.pk).set(
            task_id=_id(chord_id, component.pk), group_id=chord_id, chord=behind, headers={PARKED: True}
        )
        for component in components
    ]


def after_components(build: ModuleBuild) -> Signature:
    """Return what follows the components of the present batch."""
    return chain(_step("finish_batch", build, build.batch), _after_building(build))


def finalize(build: ModuleBuild) -> Signature:
    """The end of a build whose batches are all done."""
    return _step("finalize", build)


def renew_buildroot(build: ModuleBuild) -> Signature:
    """Return the task that serves components which wait for others; there is one for each run of a build."""
    return _step("renew_buildroot", build).set(headers={PARKED: True})


def _after_building(build: ModuleBuild, *, tagged: bool = False) -> Signature:
    steps = [
        _step("regenerate_repo", build, build.batch),
        _step("start_batch", build, build.batch),
    ]
    if not tagged:
        steps.insert(0, _step("tag_batch", build, build.batch))
    return chain(*steps)
