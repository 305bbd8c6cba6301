"""Reuse takes exactly the RPMs of the earlier build, and only while they exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from builds.services import reuse, tagging
from mbs.states import BuildState, ComponentState
from tests.buildsys.packages import DISTTAG, DOCUMENT, Bench, module, spec
from tests.factories import component_build, module_build
from tests.hostile.rpms import digests

pytestmark = pytest.mark.django_db

COMMON = {
    "name": "tiny",
    "modulemd": DOCUMENT,
    "disttag": DISTTAG,
    "arch_names": ["x86_64"],
    "build_context": "a" * 40,
    "rebuild_strategy": "changed-and-after",
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A local build system that the services use."""
    bench = Bench(tmp_path / "local")
    for service in (reuse, tagging):
        monkeypatch.setattr(service, "build_system", lambda: bench.system)
    return bench


def test_a_reused_component_is_tagged_as_the_submission_that_built_it(bench: Bench) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    stranger = Bench(bench.root, module=module(id=8, tag="module-aaa-1-1-1"))
    assert stranger.complete(stranger.job(3, "one", spec("one", build="echo foreign"))) == nvr
    build = module_build(state=BuildState.BUILD, koji_tag="module-tiny-1-92027-c0ffee12", **COMMON)
    component = component_build(build, package="one", nvr=nvr, task_id=201, state=ComponentState.COMPLETE)
    assert tagging.tag(build, [component])
    final = bench.root / "modules" / str(build.koji_tag) / "final" / nvr
    assert digests(final) == digests(bench.root / "tasks" / "201" / "rpms")


@pytest.mark.parametrize(
    ("task_id", "code"), [(201, "reused"), (301, "former_unfinished"), (None, "former_unfinished")]
)
def test_a_component_whose_results_are_not_there_is_built_anew(
    bench: Bench, task_id: int | None, code: str
) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    former = module_build(state=BuildState.READY, **COMMON)
    part = {"package": "one", "ref": "c" * 40, "arches": ["x86_64"]}
    component_build(former, nvr=nvr, task_id=task_id, state=ComponentState.COMPLETE, **part)
    build = module_build(reuse_components_from=former, **COMMON)
    (decision,) = reuse.compare(build, [component_build(build, **part)]).decisions
    assert decision.code == code
