"""The contract of build systems (``buildsys.base``), checked for every build system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from buildsys.base import RepoState, TaskState
from buildsys.logs import MAX_BYTES, NoSuchLog, ReadsLogs
from tests.buildsys.rigs import RIGS, Rig


@pytest.fixture(params=list(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    yield from RIGS[request.param](tmp_path)


def test_a_build_is_submitted_once_and_adopted_for_ever(rig: Rig) -> None:
    jobs = [rig.job(rig.module(), 1, "one")]
    assert rig.system.find(jobs) == [None]
    submissions = rig.system.submit(jobs)
    assert rig.system.submit(jobs) == rig.system.find(jobs) == submissions
    (status,) = rig.end(submissions)
    assert (status.task_id, status.state) == (submissions[0].task_id, TaskState.COMPLETE)
    assert status.nvr.startswith("one-")
    assert rig.system.submit(jobs) == rig.system.find(jobs) == submissions
    again = [rig.job(jobs[0].module, 1, "one", attempt=2)]
    assert rig.system.submit(again) == submissions, "what is complete is adopted by later attempts"


def test_a_failed_build_gives_the_reason_and_the_next_attempt_builds_again(rig: Rig) -> None:
    module = rig.module()
    first = rig.system.submit([rig.job(module, 1, "fails-always")])
    (status,) = rig.end(first)
    assert status.state is TaskState.FAILED
    assert status.reason
    assert rig.system.find([rig.job(module, 1, "fails-always")]) == [None]
    second = rig.system.submit([rig.job(module, 1, "fails-always", attempt=2)])
    assert second[0].task_id != first[0].task_id
    assert rig.system.statuses([first[0].task_id]) == [status], "an end is final"


def test_answers_come_in_the_order_of_the_questions(rig: Rig) -> None:
    module, other = rig.module("1"), rig.module("2")
    jobs = [rig.job(module, 1, "one"), rig.job(other, 2, "one"), rig.job(module, 3, "fails-always")]
    before = rig.system.submit(jobs[1:2])
    submissions = rig.system.submit(jobs)
    assert submissions[1] == before[0]
    assert len({each.task_id for each in submissions}) == 3
    statuses = rig.end(submissions)
    assert [status.state.value for status in statuses] == ["complete", "complete", "failed"]
    back = rig.system.statuses([each.task_id for each in reversed(submissions)])
    assert back == statuses[::-1]


def test_an_open_build_can_be_cancelled_and_an_ended_one_is_let_be(rig: Rig) -> None:
    module = rig.module()
    done = rig.system.submit([rig.job(module, 1, "one")])
    rig.end(done)
    open_ = rig.system.submit([rig.job(module, 2, "two")])
    numbers = [done[0].task_id, open_[0].task_id]
    for _ in range(2):
        rig.system.cancel([*numbers, 999_999_999])
    states = [status.state for status in rig.system.statuses(numbers)]
    assert states == [TaskState.COMPLETE, TaskState.CANCELED]
    assert rig.system.find([rig.job(module, 2, "two")]) == [None]


def test_an_unknown_submission_is_lost(rig: Rig) -> None:
    (status,) = rig.system.statuses([999_999_999])
    assert (status.task_id, status.state) == (999_999_999, TaskState.LOST)


def test_builds_are_tagged_into_the_buildroot_or_into_both(rig: Rig) -> None:
    module = rig.module()
    one, two = rig.build(rig.job(module, 1, "one")), rig.build(rig.job(module, 2, "two"))
    assert not rig.system.tagged(module, [one, two]).buildroot
    rig.tag(module, [one], final=False)
    rig.tag(module, [two], final=True)
    rig.system.tag(module, [one], final=False)
    tagged = rig.system.tagged(module, [one, two])
    assert (tagged.buildroot, tagged.final) == ({one, two}, {two})
    assert rig.system.tagged(module, [one]).final == frozenset()


def test_a_repository_is_ready_when_it_holds_what_was_asked_for(rig: Rig) -> None:
    module = rig.module()
    one, two = rig.build(rig.job(module, 1, "one")), rig.build(rig.job(module, 2, "two"))
    rig.tag(module, [one])
    assert rig.repo(module, [one]).state is RepoState.READY
    lacking = rig.repo(module, [one, two])
    assert (lacking.state, lacking.missing) == (RepoState.FAILED, (two,))
    rig.tag(module, [two])
    assert rig.repo(module, [one, two]).state is RepoState.READY


def test_a_module_is_finished_once(rig: Rig) -> None:
    module = rig.module()
    nvr = rig.build(rig.job(module, 1, "one"))
    rig.tag(module, [nvr])
    first = rig.system.finalize(module, {"one": nvr})
    assert first.topdir
    assert rig.system.finalize(module, {"one": nvr}) == first


def test_nothing_is_asked_of_a_build_system_for_empty_lists(rig: Rig) -> None:
    module = rig.module()
    assert rig.system.submit([]) == rig.system.find([]) == rig.system.statuses([]) == []
    assert rig.system.expected_seconds([]) == {}
    rig.system.cancel([])
    rig.system.recover([])
    rig.system.retire([])
    rig.system.tag(module, [])
    assert not rig.system.tagged(module, []).buildroot


def test_an_ended_module_is_cleaned_up_and_can_be_prepared_again(rig: Rig) -> None:
    module = rig.module()
    nvr = rig.build(rig.job(module, 1, "one"))
    rig.tag(module, [nvr])
    for _ in range(2):
        rig.system.abandon(module)
        rig.system.retire([module.tag])
    assert module.tag not in rig.system.prepared()
    rig.system.prepare(module, ["one", "two", "fails-always"])
    assert rig.system.find([rig.job(module, 1, "one")]) != [None], "what was built stays built"
    rig.build(rig.job(module, 2, "two"))
    for _ in range(2):
        rig.system.discard(module)


def test_a_log_is_read_in_parts_that_join_to_the_whole(rig: Rig) -> None:
    assert isinstance(rig.system, ReadsLogs)
    (submission,) = rig.system.submit([rig.job(rig.module(), 1, "one")])
    rig.write_log(submission)
    rig.end([submission])
    whole = rig.whole_log(submission)
    assert whole.count(b"\n") > 1
    assert rig.whole_log(submission, MAX_BYTES) == whole
    name = rig.system.logs(submission.task_id)[0].name
    part = rig.system.read_log(submission.task_id, name, 3, 10)
    assert (part.start, part.data, part.size, part.complete) == (3, whole[3:10], len(whole), True)


def test_no_more_of_a_log_is_read_than_there_is_or_one_call_may_read(rig: Rig) -> None:
    (submission,) = rig.system.submit([rig.job(rig.module(), 1, "one")])
    rig.write_log(submission)
    rig.end([submission])
    number, name = submission.task_id, rig.system.logs(submission.task_id)[0].name
    size = rig.system.read_log(number, name, 0, 1).size
    for start, stop in ((size, size + 10), (1 << 40, 1 << 41), (5, 5), (5, 1)):
        part = rig.system.read_log(number, name, start, stop)
        assert (part.data, part.size) == (b"", size), (start, stop)
    rest = rig.system.read_log(number, name, size - 4, 1 << 40)
    assert len(rest.data) == 4
    assert rig.system.read_log(number, name, -5, 4).start == 0


def test_a_log_is_complete_when_its_build_has_ended(rig: Rig) -> None:
    (submission,) = rig.system.submit([rig.job(rig.module(), 1, "one")])
    rig.write_log(submission)
    for log in rig.system.logs(submission.task_id):
        assert not rig.system.read_log(submission.task_id, log.name, 0, 10).complete
    rig.end([submission])
    name = rig.system.logs(submission.task_id)[0].name
    assert rig.system.read_log(submission.task_id, name, 0, 10).complete


def test_only_logs_of_the_submission_are_read(rig: Rig) -> None:
    module = rig.module()
    submissions = rig.system.submit([rig.job(module, 1, "one"), rig.job(module, 2, "two")])
    for submission in submissions:
        rig.write_log(submission)
    rig.end(submissions)
    one, two = (submission.task_id for submission in submissions)
    names = ["", "job.json", "../lock", "../../etc/passwd", "x/build.log", "\0", "kept/../build.log"]
    if rig.system.logs(one)[0].name != rig.system.logs(two)[0].name:
        names.append(rig.system.logs(two)[0].name)
    for name in names:
        with pytest.raises(NoSuchLog):
            rig.system.read_log(one, name, 0, 10)
    assert not rig.system.logs(999_999_999)
    with pytest.raises(NoSuchLog):
        rig.system.read_log(999_999_999, "build.log", 0, 10)
