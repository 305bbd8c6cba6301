"""Submissions that are doubled or cancelled, and submissions whose worker dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from buildsys.base import BuildSystemError, Submission, TaskState
from tests.buildsys.packages import DISTTAG, Bench, spec
from tests.processes import processes, wait_for

HERE = Path(__file__).resolve().parents[3]
#: In the command lines of builds, to find them; other test runs on this machine have others.
KILLED, CANCELLED = f"86431.{os.getpid()}", f"86432.{os.getpid()}"


def worker(bench: Bench, number: int) -> subprocess.Popen[bytes]:
    """Another process that runs a submission, as a worker would."""
    program = (
        "import sys; from pathlib import Path; from buildsys.local.system import LocalBuildSystem\n"
        "LocalBuildSystem(Path(sys.argv[1]), send=print, jobs=1).run(int(sys.argv[2]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(bench.root), str(number)],
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )


def state(bench: Bench, number: int) -> TaskState:
    return bench.system.statuses([number])[0].state


def test_the_same_attempt_twice_is_one_submission(bench: Bench) -> None:
    job = bench.job(2, "one", spec("one"))
    assert bench.system.submit([job, job]) == bench.system.submit([job, job])
    assert bench.sent == [201]
    assert bench.system.run(201) == "component:2"
    before = [path.stat().st_mtime_ns for path in bench.rpms(201)]
    assert bench.system.run(201) == "component:2"
    assert [path.stat().st_mtime_ns for path in bench.rpms(201)] == before


def test_many_submitters_at_once_make_one_folder(bench: Bench) -> None:
    job = bench.job(2, "one", spec("one"))
    threads = [threading.Thread(target=bench.system.submit, args=([job],)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.sent == [201]
    assert [path.name for path in (bench.root / "tasks").iterdir()] == ["201"]


def test_one_of_two_concurrent_runs_builds(bench: Bench) -> None:
    number = bench.submit(bench.job(2, "one", spec("one", build="sleep 1")))
    answers: list[str | None] = []
    threads = [threading.Thread(target=lambda: answers.append(bench.system.run(number))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, answers)) == ["None", "None", "component:2"]
    assert bench.log(number).count("binary RPMs") == 1


def test_a_killed_worker_takes_its_build_along_and_the_next_attempt_starts_clean(bench: Bench) -> None:
    build = f"pwd; touch left-behind; sh -c 'sleep {KILLED}; true' & setsid sleep {KILLED} & sleep {KILLED}"
    number = bench.submit(bench.job(2, "one", spec("one", build=build)))
    process = worker(bench, number)
    wait_for(lambda: len(processes(f"sleep {KILLED}")) >= 3)
    assert state(bench, number) is TaskState.OPEN
    assert bench.system.run(number) is None

    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not processes(KILLED), 5)
    wait_for(lambda: not processes(str(bench.root)), 5)

    status = bench.system.statuses([number])[0]
    assert status.state is TaskState.LOST
    assert "died" in status.reason
    assert bench.system.run(number) is None
    assert bench.system.find([bench.job(2, "one", spec("one", build=build))]) == [None]

    again = bench.submit(bench.job(2, "one", spec("one", build="test ! -e left-behind"), attempt=2))
    assert again != number
    assert bench.system.run(again) == "component:2"
    assert state(bench, again) is TaskState.COMPLETE
    assert state(bench, number) is TaskState.LOST
    assert not (bench.root / "tasks" / str(number) / "work").exists()


def test_an_older_attempt_does_nothing(bench: Bench) -> None:
    old = bench.submit(bench.job(2, "one", spec("one")))
    folder = bench.root / "tasks" / str(old)
    (folder / "started").write_text('{"host": "elsewhere", "time": 1}')
    new = bench.submit(bench.job(2, "one", spec("one"), attempt=99))
    (folder / "started").unlink()
    assert new != old
    assert bench.system.run(old) is None
    assert not (folder / "started").exists()
    assert bench.system.run(new) == "component:2"


def test_an_attempt_that_waits_is_adopted(bench: Bench) -> None:
    old = bench.submit(bench.job(2, "one", spec("one")))
    assert bench.submit(bench.job(2, "one", spec("one"), attempt=2)) == old


def test_a_running_build_is_cancelled_from_another_process(bench: Bench) -> None:
    number = bench.submit(bench.job(2, "one", spec("one", build=f"sleep {CANCELLED}")))
    process = worker(bench, number)
    wait_for(lambda: processes(f"sleep {CANCELLED}"))
    bench.system.cancel([number])
    process.wait(10)
    assert not processes(CANCELLED)
    status = bench.system.statuses([number])[0]
    assert status.state is TaskState.CANCELED
    assert "cancelled" in status.reason


def test_a_waiting_build_is_cancelled_and_never_runs(bench: Bench) -> None:
    number = bench.submit(bench.job(2, "one", spec("one")))
    bench.system.cancel([number, 999])
    bench.system.cancel([number])
    assert state(bench, number) is TaskState.CANCELED
    bench.system.run(number)
    assert state(bench, number) is TaskState.CANCELED
    assert not (bench.root / "tasks" / str(number) / "rpms").exists()


def test_cancelling_what_is_complete_changes_nothing(bench: Bench) -> None:
    number = bench.build(bench.job(2, "one", spec("one"))).task_id
    bench.system.cancel([number])
    assert state(bench, number) is TaskState.COMPLETE


def test_abandoning_a_module_cancels_its_builds(bench: Bench) -> None:
    done = bench.build(bench.job(2, "one", spec("one"))).task_id
    waiting = bench.submit(bench.job(3, "two", spec("two")))
    bench.system.abandon(bench.module)
    assert [state(bench, number) for number in (done, waiting)] == [TaskState.COMPLETE, TaskState.CANCELED]


def test_an_unknown_submission_is_lost(bench: Bench) -> None:
    status = bench.system.statuses([4242])[0]
    assert (status.task_id, status.state) == (4242, TaskState.LOST)
    assert bench.system.run(4242) is None


def test_only_what_was_not_started_is_sent_again(bench: Bench) -> None:
    done = bench.build(bench.job(2, "one", spec("one"))).task_id
    waiting = bench.submit(bench.job(3, "two", spec("two")))
    bench.sent.clear()
    bench.system.recover([done, waiting, 4242])
    assert bench.sent == [waiting]


def test_an_attempt_that_is_open_or_complete_is_found(bench: Bench) -> None:
    job = bench.job(2, "one", spec("one"))
    assert bench.system.find([job]) == [None]
    number = bench.submit(job)
    second = replace(job, attempt=2)
    url = "http://mbs.example.org/results/tasks/201/build.log"
    assert bench.system.find([job, second]) == [Submission(number, url)] * 2
    bench.system.run(number)
    assert bench.system.find([second]) == [Submission(number, url)]
    assert bench.system.find([replace(second, component_id=3)]) == [None]


def test_a_failed_attempt_is_not_found(bench: Bench) -> None:
    job = bench.job(2, "one", spec("one", build="false"))
    bench.build(job)
    assert bench.system.find([replace(job, attempt=2)]) == [None]


def test_the_folder_of_another_service_is_not_taken_over(bench: Bench) -> None:
    bench.submit(bench.job(2, "one", spec("one")))
    with pytest.raises(BuildSystemError) as caught:
        bench.submit(bench.job(2, "two", spec("two")))
    assert caught.value.code == "work_folder_taken"


def test_attempts_have_an_end(bench: Bench) -> None:
    with pytest.raises(BuildSystemError) as caught:
        bench.submit(bench.job(2, "one", spec("one"), attempt=100))
    assert caught.value.code == "too_many_attempts"


def test_an_unexpected_error_is_recorded_on_the_build(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    number = bench.submit(bench.job(2, "one", spec("one")))

    def broken(*_: object) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr("buildsys.local.system.installable", broken)
    assert bench.system.run(number) == "component:2"
    status = bench.system.statuses([number])[0]
    assert status.state is TaskState.FAILED
    assert "the disk is on fire" in status.reason


def test_a_result_is_there_whole_or_not_at_all(bench: Bench) -> None:
    number = bench.build(bench.job(2, "one", spec("one"))).task_id
    folder = bench.root / "tasks" / str(number)
    assert json.loads((folder / "result.json").read_text())["nvr"] == f"one-1-1.{DISTTAG}"
    assert sorted(path.name for path in folder.iterdir()) == [
        "build.log",
        "job.json",
        "lock",
        "packages.json",
        "result.json",
        "rpms",
        "started",
    ]
