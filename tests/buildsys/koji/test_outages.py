"""Outages and slow answers of the hub: nothing fails, and nothing is done twice."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import koji
import pytest
from koji.xmlrpcplus import Fault

from buildsys.base import AnswerLost, BuildSystemError, BuildSystemUnavailable, TaskState
from buildsys.koji.builds import scm_url
from buildsys.koji.errors import mapped
from buildsys.koji.session import Access, Hub
from mbs.errors import ConfigurationError
from tests.buildsys.koji.double import Faults, HubDouble
from tests.buildsys.rigs import KojiRig, koji_system
from tests.processes import free_port


def _offline(faults: Faults) -> None:
    faults.offline = True


def _bad_gateway(faults: Faults) -> None:
    faults.status = 502


def _hanging_up(faults: Faults) -> None:
    faults.drop = ["before"] * 20


def _breaking_off(faults: Faults) -> None:
    faults.drop = ["half"] * 20


def _hub_database(faults: Faults) -> None:
    text = "Traceback (most recent call last):\npsycopg2.errors.DeadlockDetected: deadlock detected"
    faults.refuse["listTasks"] = [Fault(1, text)] * 20


@pytest.mark.parametrize("outage", [_offline, _bad_gateway, _hanging_up, _breaking_off, _hub_database])
def test_an_outage_is_no_refusal_and_passes(rig: KojiRig, outage: Callable[[Faults], None]) -> None:
    module = rig.module()
    job = rig.job(module, 1, "one")
    outage(rig.double.faults)
    with pytest.raises(BuildSystemUnavailable):
        rig.system.submit([job])
    vars(rig.double.faults).update(vars(Faults()))
    (status,) = rig.end(rig.system.submit([job]))
    assert status.state is TaskState.COMPLETE


def test_a_hub_that_hangs_is_given_up_in_time(double: HubDouble, tmp_path: Path) -> None:
    system = koji_system(double, tmp_path, timeout=5)
    assert system.hub.user
    double.faults.delay = 4
    began = time.monotonic()
    with pytest.raises(BuildSystemUnavailable):
        system.statuses([1])
    # Two tries within the five seconds that this system has for a call, and the time to break off.
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("drop", ["after", "half"])
def test_builds_whose_answer_was_lost_are_found_not_doubled(rig: KojiRig, drop: str) -> None:
    module = rig.module()
    jobs = [rig.job(module, 1, "one"), rig.job(module, 2, "two")]
    builds = 0

    def watch(method: str, args: tuple[object, ...]) -> None:
        nonlocal builds
        if method == "build":
            builds += 1

    def drop_the_answer(method: str, args: tuple[object, ...]) -> None:
        if method == "listTasks":
            # The next request is the one that starts the builds; it is carried out.
            rig.double.faults.drop = [drop]
            rig.double.faults.watch = watch

    rig.double.faults.watch = drop_the_answer
    with pytest.raises(BuildSystemUnavailable):
        rig.system.submit(jobs)
    assert builds == 2
    submissions = rig.system.submit(jobs)
    assert builds == 2
    made = [task.id for task in rig.double.books.tasks.values() if task.method == "build"]
    assert [each.task_id for each in submissions] == made


@pytest.mark.parametrize("forget", ["expire", "delete"])
def test_a_session_that_ended_is_made_anew(rig: KojiRig, forget: str) -> None:
    with rig.double.lock:
        for session in rig.double.sessions.values():
            session.expired = True
        if forget == "delete":
            rig.double.sessions.clear()
    if forget == "delete":
        with pytest.raises(BuildSystemUnavailable):
            rig.system.hub.call("getTag", "platform-build")
    assert rig.system.hub.call("getTag", "platform-build")["name"] == "platform-build"


@pytest.fixture
def logged_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the sessions that are logged out, also those of other tests that are deleted meanwhile."""
    keys: list[str] = []

    def logout(session: koji.ClientSession, session_id: int | None = None) -> None:
        if session.logged_in:
            keys.append(session.sinfo["session-key"])

    monkeypatch.setattr(koji.ClientSession, "logout", logout)
    return keys


@pytest.mark.parametrize("why", ["ended", "forked"])
def test_a_former_session_is_not_logged_out_when_it_is_deleted(
    rig: KojiRig, why: str, logged_out: list[str]
) -> None:
    """After a fork it belongs to the parent; and Python may delete it at any time, such as in a callback."""
    hub = rig.system.hub
    key = hub._local.session.sinfo["session-key"]
    if why == "ended":
        rig.double.sessions.clear()
        with pytest.raises(BuildSystemUnavailable):
            hub.call("getTag", "platform-build")
    else:
        hub._local.pid = 1
    assert hub.call("getTag", "platform-build")["name"] == "platform-build"
    gc.collect()
    assert key not in logged_out


def test_a_session_whose_user_cannot_be_read_is_not_logged_out(
    double: HubDouble, tmp_path: Path, logged_out: list[str]
) -> None:
    """The hub is away after the login, and may hang."""
    away = Fault(koji.ServerOffline.faultCode, "database outage")
    double.faults.refuse["getLoggedInUser"] = [away] * 20
    hub = koji_system(double, tmp_path).hub
    with pytest.raises(BuildSystemUnavailable):
        hub.call("getTag", "platform-build")
    gc.collect()
    made = [session.key for session in double.sessions.values()]
    assert made
    assert not set(made) & set(logged_out)


def test_a_login_that_fails_waits_for_an_operator(double: HubDouble, tmp_path: Path) -> None:
    system = koji_system(double, tmp_path)
    double.callers["mbs"].password = "changed"
    with pytest.raises(BuildSystemUnavailable, match="invalid username or password") as caught:
        system.prepared()
    assert caught.value.code == "koji_login_failed"
    double.callers["mbs"].password = "mbs"
    assert system.prepared() == []


def test_a_permission_that_is_revoked_for_a_moment_is_an_outage_that_names_the_remedy(rig: KojiRig) -> None:
    held = rig.double.callers["mbs"].permissions
    rig.double.callers["mbs"].permissions = set()
    with pytest.raises(BuildSystemUnavailable, match="not allow createTag: tag permission") as caught:
        rig.module()
    assert caught.value.code == "koji_not_allowed"
    assert "mbs-manager doctor" in caught.value.hint
    rig.double.callers["mbs"].permissions = held
    assert rig.module()


def test_a_refusal_names_the_call(rig: KojiRig) -> None:
    rig.double.faults.refuse["getBuildTargets"] = [koji.GenericError("no")]
    with pytest.raises(BuildSystemError, match=r"^Koji refuses getBuildTargets: no$"):
        rig.system.prepared()
    rig.double.faults.refuse["listTagged"] = [koji.GenericError("no such thing")]
    with pytest.raises(BuildSystemError, match=r"^Koji refuses listTagged: no such thing$"):
        rig.system.tagged(rig.module(), [])


def test_the_line_that_matters_is_taken_out_of_a_hubs_traceback(rig: KojiRig) -> None:
    text = (
        "Traceback (most recent call last):\n  File x\nkoji.AuthError: Invalid session or bad credentials\n"
    )
    rig.double.faults.refuse["getBuildTargets"] = [Fault(koji.AuthError.faultCode, text)]
    with pytest.raises(BuildSystemUnavailable, match=r"session: Invalid session or bad credentials$"):
        rig.system.prepared()


def test_a_profile_that_is_not_there_stops_the_start(double: HubDouble, tmp_path: Path) -> None:
    config = double.write_profile(tmp_path / "koji.conf", authtype="magic")
    with pytest.raises(ConfigurationError, match="magic"):
        _system_with(config, "koji")
    with pytest.raises(ConfigurationError, match="other"):
        _system_with(config, "other")


def _system_with(config: Path, profile: str) -> object:
    return Hub(Access(config, profile))


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://src.example.org/rpms/one#abc", "git+https://src.example.org/rpms/one?#abc"),
        ("https://src.example.org/rpms/one?#abc", "git+https://src.example.org/rpms/one?#abc"),
        ("git://src.example.org/one#abc", "git://src.example.org/one?#abc"),
        ("git+ssh://src.example.org/one#abc", "git+ssh://src.example.org/one?#abc"),
    ],
)
def test_dist_git_addresses_are_written_as_koji_wants_them(source: str, url: str) -> None:
    assert scm_url(source) == url


@pytest.mark.parametrize("drop", ["before", "after", "half"])
def test_a_build_request_without_an_answer_differs_from_a_refused_one(rig: KojiRig, drop: str) -> None:
    job = rig.job(rig.module(), 1, "one")

    def drop_the_answer(method: str, args: tuple[object, ...]) -> None:
        if method == "listTasks":
            rig.double.faults.drop = [drop] * 20
            rig.double.faults.watch = None

    rig.double.faults.watch = drop_the_answer
    with pytest.raises(AnswerLost):
        rig.system.submit([job])


def test_an_offline_hub_has_accepted_no_build(rig: KojiRig) -> None:
    job = rig.job(rig.module(), 1, "one")

    def go_offline(method: str, args: tuple[object, ...]) -> None:
        if method == "listTasks":
            rig.double.faults.refuse["build"] = [Fault(koji.ServerOffline.faultCode, "database outage")]

    rig.double.faults.watch = go_offline
    with pytest.raises(BuildSystemUnavailable) as caught:
        rig.system.submit([job])
    assert not isinstance(caught.value, AnswerLost)


def test_the_older_of_two_open_tasks_is_the_build_of_a_component(rig: KojiRig) -> None:
    """The hub carried out a request whose answer had been given up, after the next one."""
    module = rig.module()
    rig.double.books.seconds["build"] = 1000
    job, other = rig.job(module, 1, "one"), rig.job(module, 2, "two")
    first, theirs = rig.system.submit([job, other])
    (second,) = rig.system._builds.submit([job], {}, "")
    assert second.task_id != first.task_id
    assert [each and each.task_id for each in rig.system.find([job])] == [first.task_id]
    states = {
        s.task_id: s.state for s in rig.system.statuses([first.task_id, second.task_id, theirs.task_id])
    }
    assert states == {
        first.task_id: TaskState.OPEN,
        second.task_id: TaskState.CANCELED,
        theirs.task_id: TaskState.OPEN,
    }
    rig.system._builds.submit([job], {}, "")
    rig.system.abandon(module)
    assert not rig.system.find([job])[0]


def test_a_hub_that_answers_nothing_to_a_build_is_named(
    rig: KojiRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = rig.job(rig.module(), 1, "one")
    monkeypatch.setattr(HubDouble, "build", lambda *args, **options: None)
    with pytest.raises(AnswerLost, match=r"returned no task number for the builds of one"):
        rig.system.submit([job])


def test_an_unreachable_hub_is_described_by_the_cause_not_by_the_libraries_that_wrap_it() -> None:
    hub = koji.ClientSession(
        f"http://127.0.0.1:{free_port()}/kojihub", {"max_retries": 0, "anon_retry": False}
    )
    with pytest.raises(BuildSystemUnavailable) as outage, mapped("getTag"):
        hub.getTag("platform-build")
    assert outage.value.message == "The Koji hub cannot be reached: [Errno 111] Connection refused"
