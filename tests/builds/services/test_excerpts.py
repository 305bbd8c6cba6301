"""Excerpts of the logs of failed components, as stored with the components and the module build."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from builds.models import ComponentBuild, ModuleBuild, Phase
from builds.services import cancellation, excerpts, transitions
from builds.workflow import steps
from buildsys.base import BuildSystemError, BuildSystemUnavailable
from buildsys.excerpts import Excerpt
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db
FOUND = Excerpt("build.log", 12, 1, ("gcc -c x.c", "x.c:1: error: bad"))


class System:
    """A build system whose logs say the same of every submission."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[int] = []

    def explain(self, task_ids: Sequence[int]) -> dict[int, Excerpt]:
        self.asked += task_ids
        if self.error:
            raise self.error
        return dict.fromkeys(task_ids, FOUND)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    made = System()
    monkeypatch.setattr(excerpts, "build_system", lambda: made)
    return made


def build(*, infrastructure: Sequence[bool] = (False,)) -> ModuleBuild:
    """A build whose batch has ended with failed components."""
    row = module_build(state=BuildState.BUILD, batch=2, batches=2, phase=Phase.BUILDING)
    for number, fault in enumerate(infrastructure):
        component_build(
            row,
            package=f"lib+{number}",
            state=ComponentState.FAILED,
            state_reason="it broke",
            task_id=70 + number,
            infrastructure=fault,
        )
    return row


def end(row: ModuleBuild) -> ModuleBuild:
    """Fail the build as the workflow does."""
    with pytest.raises(BuildSystemError) as caught:
        steps.finish_batch(row.pk, row.run, 2)
    transitions.fail(row.pk, caught.value)
    row.refresh_from_db()
    return row


def test_the_lines_are_stored_with_the_component_and_its_module_build(system: System) -> None:
    row = end(build())
    component = row.component_builds.get()
    stored = {
        "log": "build.log",
        "line": 12,
        "first_line": 11,
        "cause": "x.c:1: error: bad",
        "lines": ["gcc -c x.c", "x.c:1: error: bad"],
        "url": f"/builds/{row.pk}/lib%2B0/log?line=12#L12",
    }
    assert component.excerpt == stored
    assert row.error_excerpt == {"component": "lib+0", "component_build": component.pk, **stored}
    assert row.error_code == "component_failed"


def test_logs_of_a_bounded_number_of_components_are_read(system: System) -> None:
    end(build(infrastructure=[False] * (excerpts.MAX_EXCERPTS + 5)))
    assert len(system.asked) == excerpts.MAX_EXCERPTS


def test_a_build_fails_all_the_same_when_logs_cannot_be_read(system: System) -> None:
    system.error = BuildSystemUnavailable("It is away.")
    row = end(build())
    assert (row.state, row.error_code, row.error_excerpt) == (BuildState.FAILED, "component_failed", None)


@pytest.mark.parametrize(
    ("faults", "code"), [([True, True], "infrastructure_failed"), ([True, False], "component_failed")]
)
def test_the_infrastructure_is_blamed_only_if_all_failed_for_it(
    system: System, faults: list[bool], code: str
) -> None:
    assert end(build(infrastructure=faults)).error_code == code


def test_a_resumption_forgets_the_lines(system: System) -> None:
    row = end(build(infrastructure=[True]))
    cancellation.resume(row, "ann")
    row.refresh_from_db()
    component = ComponentBuild.objects.get(module_build=row)
    assert row.error_excerpt is None
    assert (component.excerpt, component.infrastructure) == (None, False)
