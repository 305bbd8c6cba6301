"""Failed builds on a hub: the reason, and whether the sources or the infrastructure caused it."""

from __future__ import annotations

import koji
import pytest
from koji.xmlrpcplus import Fault

from buildsys.base import TaskState
from buildsys.excerpts import ExplainsFailures
from tests.buildsys.rigs import KojiRig

ROOT_30 = (
    "error building package (arch x86_64), mock exited with status 30; see root.log for more information"
)
INIT = "could not init mock buildroot, mock exited with status 30; see root.log for more information"


@pytest.mark.parametrize(
    ("fault", "logs"),
    [
        (
            koji.BuildrootError(INIT),
            {"root.log": "Curl error (6): Could not resolve host: repos.example.org"},
        ),
        (koji.BuildrootError(INIT), {"mock_output.log": "x" * 50_000 + "No space left on device"}),
        (
            koji.BuildError(ROOT_30),
            {"root.log": "Error: Failed to download metadata for repo 'build'" + "x" * 9},
        ),
        (
            Fault(
                1, "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device: '/var'"
            ),
            {},
        ),
        (
            koji.BuildError(
                "error building package (arch x86_64), mock was killed by signal 9; see root.log"
            ),
            {},
        ),
        (
            koji.GenericError('Error running GIT command "git clone", see checkout.log for details'),
            {"checkout.log": "fatal: unable to access 'https://x/': Could not resolve host: x"},
        ),
        (koji.GenericError("Unsuccessfully waited 2:00:00 for a new module-x-build repo"), {}),
    ],
)
def test_failures_of_builders_are_infrastructure_failures(
    rig: KojiRig, fault: Exception, logs: dict[str, str]
) -> None:
    rig.double.faults.breaks = [(fault, logs)]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert (status.state, status.infrastructure) == (TaskState.FAILED, True)


@pytest.mark.parametrize(
    ("fault", "logs"),
    [
        (
            koji.BuildError("error building package (arch x86_64), mock exited with status 1; see build.log"),
            {"build.log": "tests: Connection refused; No space left on device"},
        ),
        (koji.BuildError(ROOT_30), {"root.log": "No matching package to install: 'gone-devel'"}),
        (koji.BuildrootError(INIT), {"root.log": "nothing provides libfoo needed by bar"}),
        (koji.BuildError("package one not in list for tag module-x"), {}),
        (
            koji.GenericError('Error running GIT command "git reset", see checkout.log for details'),
            {"checkout.log": "fatal: Could not parse object '0123'"},
        ),
    ],
)
def test_failures_of_sources_are_not_infrastructure_failures(
    rig: KojiRig, fault: Exception, logs: dict[str, str]
) -> None:
    rig.double.faults.breaks = [(fault, logs)]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert (status.state, status.infrastructure) == (TaskState.FAILED, False)


def test_a_task_that_came_too_late_is_complete_by_the_build_of_the_other(rig: KojiRig) -> None:
    module = rig.module()
    jobs = [rig.job(module, 1, "one")]
    nvr = rig.build(jobs[0])
    source, target, options = next(
        task.request for task in rig.double.books.tasks.values() if task.method == "build"
    )
    late = rig.double.build(rig.double.callers["mbs"], source, target, options)
    other = rig.double.build(rig.double.callers["mbs"], source.replace("0123", "abcd"), target, options)
    rig.double.books.tick()
    rig.double.books.tick()
    late_status, other_status = rig.system.statuses([late, other])
    assert (late_status.state, late_status.nvr) == (TaskState.COMPLETE, nvr)
    assert other_status.state is TaskState.FAILED
    assert other_status.reason.startswith("Build already exists")


def test_a_package_named_otherwise_than_its_component_is_found_again(rig: KojiRig) -> None:
    rig.double.books.spec_names["one"] = "uno"
    module = rig.module()
    jobs = [rig.job(module, 1, "one")]
    submissions = rig.system.submit(jobs)
    (status,) = rig.end(submissions)
    assert status.nvr.startswith("uno-")
    assert rig.system.find(jobs) == submissions
    rig.double.remove_build(status.nvr)
    assert rig.system.find(jobs) == [None]


def test_the_log_that_a_reason_names_explains_it(rig: KojiRig) -> None:
    fault = koji.BuildError(
        "error building package (arch x86_64), mock exited with status 1; see build.log for more information"
    )
    log = "one\nx.c:1:2: error: no such thing\nmake: *** [x.o] Error 1\n"
    rig.double.faults.breaks = [(fault, {"build.log": log, "root.log": "x.c:1: error: not this one"})]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert isinstance(rig.system, ExplainsFailures)
    found = rig.system.explain([status.task_id])[status.task_id]
    assert (found.log, found.line, found.cause) == ("build.log", 2, "x.c:1:2: error: no such thing")


def test_the_end_of_a_long_log_is_read_without_line_numbers(rig: KojiRig) -> None:
    log = "noise\n" * 100_000 + "No matching package to install: 'gone-devel'\n"
    rig.double.faults.breaks = [(koji.BuildError(ROOT_30), {"root.log": log})]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert isinstance(rig.system, ExplainsFailures)
    found = rig.system.explain([status.task_id])[status.task_id]
    assert (found.log, found.line) == ("root.log", None)
    assert found.cause == "No matching package to install: 'gone-devel'"


def test_a_task_without_logs_is_not_explained(rig: KojiRig) -> None:
    rig.double.faults.breaks = [(koji.BuildError("package one not in list for tag module-x"), {})]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert isinstance(rig.system, ExplainsFailures)
    assert rig.system.explain([status.task_id, 999_999]) == {}
