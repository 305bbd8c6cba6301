"""Repositories for users: recorded when a build is finished, withdrawn when it is retired."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from builds.models import ModuleBuild, Phase
from builds.services import retirement
from builds.workflow import cleanup, steps, sweeps
from buildsys.base import Module, Result
from buildsys.delivery import Delivery
from mbs.states import BuildState
from tests.builds.rest import Api
from tests.factories import module_build

pytestmark = pytest.mark.django_db
DELIVERY = Delivery("http://m/repo/", "http://m/x.repo", ("curl x", "dnf module install quiet:1"))


class System:
    """A build system with repositories for users."""

    def __init__(self) -> None:
        self.withdrawn: list[str] = []

    def finalize(self, module: Module, nvrs: Mapping[str, str]) -> Result:
        return Result("http://m/repo/", delivery=DELIVERY)

    def withdraw(self, module: Module) -> None:
        self.withdrawn.append(module.tag)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    made = System()
    for module in (steps, retirement):
        monkeypatch.setattr(module, "build_system", lambda: made)
    return made


def delivered(**values: object) -> ModuleBuild:
    urls = {"repository_url": DELIVERY.repository_url, "repo_file_url": DELIVERY.repo_file_url}
    return module_build(**{"koji_tag": "module-quiet", **urls, "install": list(DELIVERY.install), **values})


def test_a_finished_build_shows_its_repository(system: System, api: Api) -> None:
    build = module_build(state=BuildState.BUILD, phase=Phase.FINALIZING, koji_tag="module-quiet")
    steps.finalize(build.pk, build.run)
    answer = api.get(f"module-builds/{build.pk}")
    assert answer["state_name"] == "ready"
    assert answer["repository_url"] == DELIVERY.repository_url
    assert answer["repo_file_url"] == DELIVERY.repo_file_url
    assert answer["install"] == list(DELIVERY.install)
    assert api.get("module-builds/")["items"][0]["install"] == list(DELIVERY.install)


def test_an_unfinished_build_has_no_repository(api: Api) -> None:
    build = module_build(state=BuildState.BUILD)
    answer = api.get(f"module-builds/{build.pk}")
    assert (answer["repository_url"], answer["repo_file_url"], answer["install"]) == (None, None, [])


def test_a_retired_build_leaves_the_repository(system: System) -> None:
    build = delivered(state=BuildState.GARBAGE)
    retirement.withdraw(build.pk)
    build.refresh_from_db()
    assert system.withdrawn == ["module-quiet"]
    assert (build.repository_url, build.repo_file_url, build.install) == ("", "", None)


def test_a_build_that_is_not_retired_stays_in_it(system: System) -> None:
    build = delivered(state=BuildState.READY)
    retirement.withdraw(build.pk)
    build.refresh_from_db()
    assert (system.withdrawn, build.repository_url) == ([], DELIVERY.repository_url)


def test_a_sweep_takes_out_what_a_lost_task_left(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "ended_long_ago", list)
    delivered(state=BuildState.GARBAGE)
    delivered(state=BuildState.READY)
    assert sweeps.old_targets()["withdrawn"] == 1
    assert system.withdrawn == ["module-quiet"]
