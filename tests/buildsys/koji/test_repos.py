"""Repository regenerations: requested, checked, and requested again a bounded number of times."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest

from buildsys.base import BuildSystemError, Module, RepoState, RepoStatus
from buildsys.koji.repos import MAX_FAILURES
from mbs.macros import PACKAGE
from tests.buildsys.koji.double.repos import TRIES
from tests.buildsys.rigs import KojiRig


@pytest.fixture(params=["requests", "tasks"])
def module(request: pytest.FixtureRequest, rig: KojiRig) -> Module:
    """A module on a hub that knows repository requests, and on one that is too old for them."""
    rig.double.faults.old = request.param == "tasks"
    return rig.module()


def _tagged(rig: KojiRig, module: Module, package: str) -> str:
    nvr = rig.build(rig.job(module, 1 if package == "one" else 2, package))
    rig.tag(module, [nvr])
    return nvr


def _status(rig: KojiRig, module: Module, request: int, *nvrs: str) -> RepoStatus:
    return rig.system.repo_status(module, request, nvrs)


def test_a_repository_holds_what_was_tagged_before_it_was_asked_for(rig: KojiRig, module: Module) -> None:
    one = _tagged(rig, module, "one")
    assert rig.repo(module, [one]).state is RepoState.READY


def test_a_stale_repository_is_recognized_by_its_event(rig: KojiRig, module: Module) -> None:
    _tagged(rig, module, "one")
    assert rig.repo(module, []).state is RepoState.READY
    stale = rig.system.request_repo(module)
    rig.end([])
    while _status(rig, module, stale).state is RepoState.OPEN:
        pass
    two = _tagged(rig, module, "two")
    status = _status(rig, module, stale, two)
    assert (status.state, status.missing) == (RepoState.FAILED, (two,))
    assert rig.repo(module, [two]).state is RepoState.READY


def test_the_hub_itself_builds_in_a_stale_repository(rig: KojiRig) -> None:
    """The trap that the checks are for: the double falls into it as hubs do."""
    module = rig.module("5")
    tag = rig.double.books.tags[f"{module.tag}-build"]
    with rig.double.lock:
        tag.listing.clear()
    assert rig.repo(module, []).state is RepoState.READY
    with rig.double.lock:
        rig.double.put(tag, rig.double.books.build(f"{PACKAGE}-0.1-1.{module.disttag}"))
    assert rig.build(rig.job(module, 1, "one")) == "one-1.0-1.platform"


def test_asking_twice_regenerates_once(rig: KojiRig, module: Module) -> None:
    rig.double.books.seconds["newRepo"] = 3600
    rig.system.request_repo(module)
    rig.system.request_repo(module)
    tasks = [task for task in rig.double.books.tasks.values() if task.method == "newRepo"]
    # An old hub's task may have read the tag already, so that only one that waits would be the same.
    assert len(tasks) == (2 if rig.double.faults.old else 1)


def test_many_requests_are_asked_about_in_one_round_trip(rig: KojiRig, module: Module) -> None:
    ready = rig.system.request_repo(module)
    while _status(rig, module, ready).state is RepoState.OPEN:
        pass
    there = 999 if rig.double.faults.old else rig.system.request_repo(module)
    rig.double.books.seconds["newRepo"] = 3600
    others = [rig.module(str(number)) for number in range(2, 12)]
    numbers = [rig.system.request_repo(other) for other in others]
    rig.double.log.clear()
    assert rig.system.repos_under_way([ready, there, 888, *numbers]) == set(numbers)
    assert len(rig.double.log) == 1
    assert rig.system.repos_under_way([]) == set()
    assert all(
        _status(rig, other, n).state is RepoState.OPEN for other, n in zip(others, numbers, strict=True)
    )


def test_a_failed_regeneration_is_reported_and_can_be_requested_again(rig: KojiRig, module: Module) -> None:
    one = _tagged(rig, module, "one")
    rig.double.faults.repo_fails = 1 if rig.double.faults.old else TRIES
    failed = rig.repo(module, [one])
    assert failed.state is RepoState.FAILED
    assert failed.reason
    assert rig.repo(module, [one]).state is RepoState.READY


def test_regenerations_are_not_asked_for_for_ever(rig: KojiRig, module: Module) -> None:
    rig.double.faults.repo_fails = 1000
    for _ in range(math.ceil(MAX_FAILURES / (1 if rig.double.faults.old else TRIES))):
        assert rig.repo(module, []).state is RepoState.FAILED
    with pytest.raises(BuildSystemError, match="could not be regenerated") as caught:
        rig.system.request_repo(module)
    assert caught.value.code == "koji_repo_failed"
    other = rig.module("2")
    rig.double.faults.repo_fails = 0
    assert rig.repo(other, []).state is RepoState.READY, "another module does not suffer for it"
    with pytest.raises(BuildSystemError, match="could not be regenerated"):
        rig.system.request_repo(module)
    resumed = replace(module, since=time.time())
    assert rig.repo(resumed, []).state is RepoState.READY, "what failed before it was resumed does not count"


def test_a_build_that_another_one_hides_is_named(rig: KojiRig, module: Module) -> None:
    one = _tagged(rig, module, "one")
    with rig.double.lock:
        other = rig.double.books.new_build("one-0.9-1", "COMPLETE")
        rig.double.put(rig.double.books.tags[f"{module.tag}-build"], other)
    with pytest.raises(BuildSystemError, match=r"hidden .* by one-0\.9-1") as caught:
        rig.repo(module, [one])
    assert caught.value.code == "koji_build_hidden"


def test_a_repository_of_another_or_no_tag_is_not_the_one_of_this_module(
    rig: KojiRig, module: Module
) -> None:
    other = rig.module("2")
    foreign = rig.system.request_repo(other)
    while _status(rig, other, foreign).state is RepoState.OPEN:
        pass
    assert _status(rig, module, foreign).state is RepoState.FAILED
    assert _status(rig, module, 999).state is RepoState.FAILED
    assert _status(rig, module, -999).state is RepoState.FAILED
