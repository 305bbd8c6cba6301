"""Logs of Koji builds: which exist, and from where they are read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import koji
import pytest

from buildsys.base import BuildSystemUnavailable, Submission
from buildsys.logs import NoSuchLog
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.rigs import KojiRig, koji_system
from tests.dripping import dripping


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[KojiRig]:
    double = HubDouble().start()
    yield KojiRig(koji_system(double, tmp_path), ("x86_64",), double=double)
    double.stop()


def built(rig: KojiRig, package: str = "one") -> Submission:
    submissions: list[Submission] = rig.system.submit([rig.job(rig.module(), 1, package)])
    rig.end(submissions)
    return submissions[0]


def kept(rig: KojiRig, files: dict[str, bytes]) -> Submission:
    """A build whose tasks have no output any more; the logs are beside its packages."""
    submission = built(rig)
    (status,) = rig.system.statuses([submission.task_id])
    build = rig.double.books.build(status.nvr)
    assert build is not None
    top = "packages/{name}/{version}/{release}/data/logs".format(**build)
    rig.double.books.files.update({f"{top}/{name}": content for name, content in files.items()})
    return submission


def test_the_log_of_what_failed_comes_first(rig: KojiRig) -> None:
    logs = {"root.log": "r", "hw_info.log": "h", "build.log": "b", "pkg.src.rpm": "no log"}
    rig.double.faults.breaks.append((koji.BuildError("see build.log"), logs))
    submission = built(rig)
    with rig.double.lock:
        books = rig.double.books
        srpm = books.make_task("buildSRPMFromSCM", [], 1, lambda task: None)
        srpm.parent, srpm.output = submission.task_id, {"build.log": "made the source RPM"}
    labels = [log.label for log in rig.system.logs(submission.task_id)]
    assert labels == ["noarch build.log", "noarch root.log", "noarch hw_info.log", "source RPM build.log"]


def test_logs_are_read_beside_the_packages_when_the_tasks_have_none_any_more(rig: KojiRig) -> None:
    submission = kept(rig, {"x86_64/build.log": b"0123456789" * 100, "noarch/build.log": b"short\n"})
    names = [log.name for log in rig.system.logs(submission.task_id)]
    assert names == ["kept/noarch/build.log", "kept/x86_64/build.log"]
    part = rig.system.read_log(submission.task_id, "kept/x86_64/build.log", 995, 2000)
    assert (part.start, part.data, part.size, part.complete) == (995, b"56789", 1000, True)
    beyond = rig.system.read_log(submission.task_id, "kept/x86_64/build.log", 1000, 2000)
    assert (beyond.data, beyond.size) == (b"", 1000)


def test_nothing_but_listed_logs_is_read_from_the_file_server(rig: KojiRig) -> None:
    submission = kept(rig, {"x86_64/build.log": b"x"})
    rig.double.books.files["secret/build.log"] = b"secret"
    for name in ("kept/x86_64/root.log", "kept/../build.log", "kept/secret/build.log", "secret/build.log"):
        with pytest.raises(NoSuchLog):
            rig.system.read_log(submission.task_id, name, 0, 10)
    assert not [calls for calls in rig.double.log if calls[0].startswith("GET")]


@pytest.mark.parametrize("file", ["build\0.log", "\x01.log", "\ufffe.log", "a\nb.log"])
def test_a_name_that_no_log_can_have_is_not_asked_for(rig: KojiRig, file: str) -> None:
    submission = built(rig)
    asked = len(rig.double.log)
    for name in (f"{submission.task_id + 1}/{file}", f"kept/x86_64/{file}"):
        with pytest.raises(NoSuchLog):
            rig.system.read_log(submission.task_id, name, 0, 10)
    assert len(rig.double.log) == asked


def test_a_file_server_that_is_away_is_an_outage(rig: KojiRig, monkeypatch: pytest.MonkeyPatch) -> None:
    submission = kept(rig, {"x86_64/build.log": b"x"})
    monkeypatch.setattr(rig.system._logs, "_topurl", "http://127.0.0.1:9")
    with pytest.raises(BuildSystemUnavailable) as refusal:
        rig.system.read_log(submission.task_id, "kept/x86_64/build.log", 0, 10)
    assert refusal.value.code == "koji_files_unavailable"


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_file_server_that_sends_one_byte_at_a_time_is_an_outage(
    rig: KojiRig, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    submission = kept(rig, {"x86_64/build.log": b"x"})
    monkeypatch.setattr(rig.system._logs, "_timeout", 1)
    with dripping(part) as server:
        monkeypatch.setattr(rig.system._logs, "_topurl", server.url)
        with pytest.raises(BuildSystemUnavailable, match="timed out"):
            rig.system.read_log(submission.task_id, "kept/x86_64/build.log", 0, 1000)
        assert not server.patient


def test_a_name_of_the_file_server_that_is_not_resolved_is_an_outage(
    rig: KojiRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = kept(rig, {"x86_64/build.log": b"x"})
    monkeypatch.setattr(rig.system._logs, "_timeout", 0.5)
    monkeypatch.setattr(rig.system._logs, "_topurl", "http://files.example")
    answered, resolved, known = threading.Event(), list[bool](), socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
        found = known("127.0.0.1", *args, **options)
        if "files.example" in str(host):  # it may be bytes
            resolved.append(answered.wait(60))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        with pytest.raises(BuildSystemUnavailable, match="timed out"):
            rig.system.read_log(submission.task_id, "kept/x86_64/build.log", 0, 1000)
        assert not resolved
    finally:
        answered.set()


def test_reading_a_log_needs_no_login(rig: KojiRig) -> None:
    submission = built(rig)
    rig.write_log(submission)
    rig.double.callers.clear()
    assert rig.whole_log(submission) == b"first line\nsecond line\n"
