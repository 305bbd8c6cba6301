"""Effects of a build outside its sandbox end with it, and disclose no file of the machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from buildsys.base import BuildSystemError, TaskState
from buildsys.local.folders import lock
from buildsys.local.host import provides
from buildsys.local.sandbox import Limits, Sandbox, Stopped
from buildsys.local.views import make_view
from tests.buildsys.packages import Bench, spec


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "local")


@pytest.fixture
def rpm(bench: Bench) -> Path:
    """A binary RPM."""
    number = bench.build(bench.job(2, "one", spec("one"))).task_id
    return next(path for path in bench.rpms(number) if ".noarch." in path.name)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "x" / "work", tmp_path / "x" / "root", limits=Limits(seconds=30))


def test_installing_earlier_packages_ends_when_the_build_is_cancelled(
    tmp_path: Path, rpm: Path, sandbox: Sandbox
) -> None:
    with pytest.raises(Stopped, match="it was cancelled"):
        make_view(tmp_path / "views", [rpm], sandbox, stop=lambda: "it was cancelled")
    with pytest.raises(Stopped, match="ran longer"):
        make_view(tmp_path / "views", [rpm], sandbox, deadline=time.monotonic() - 1)
    view = make_view(tmp_path / "views", [rpm], sandbox)
    assert view
    assert (view / "usr/share/one/name").read_text() == "one\n"


def test_waiting_for_another_build_that_installs_them_ends_too(
    tmp_path: Path, rpm: Path, sandbox: Sandbox
) -> None:
    view = make_view(tmp_path / "views", [rpm], sandbox)
    assert view
    view.rename(tmp_path / "elsewhere")
    with lock(view.with_name(f"{view.name}.lock")), pytest.raises(Stopped, match="it was cancelled"):
        make_view(tmp_path / "views", [rpm], sandbox, stop=lambda: "it was cancelled")


def test_reasons_of_failures_name_no_folder_of_the_service(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.submit(bench.job(2, "one", spec("one")))

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device", str(bench.root / "tasks" / "201" / "inputs"))

    monkeypatch.setattr("buildsys.local.system.installable", broken)
    bench.system.run(number)
    status = bench.system.statuses([number])[0]
    assert status.state is TaskState.FAILED
    assert "No space left on device" in status.reason
    assert str(bench.root) not in status.reason


def test_a_folder_of_another_service_is_not_named_by_its_path(bench: Bench) -> None:
    bench.submit(bench.job(2, "one", spec("one")))
    with pytest.raises(BuildSystemError) as caught:
        bench.submit(bench.job(2, "two", spec("two")))
    assert str(bench.root) not in str(caught.value)


def test_folders_of_submissions_are_closed_to_other_users(bench: Bench) -> None:
    number = bench.build(bench.job(2, "one", spec("one"))).task_id
    assert (bench.root / "tasks" / str(number)).stat().st_mode & 0o077 == 0


def test_a_requirement_does_not_reveal_whether_a_file_hidden_from_builds_exists(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    for name in (f"{tmp_path}/secret", "/etc/shadow", f"/usr/../{tmp_path}/secret", "/proc/self/status"):
        assert provides([name]) == {name: ()}
    assert provides(["/bin/sh"])["/bin/sh"]


def test_files_created_with_a_strict_umask_can_be_read_by_builds(tmp_path: Path, sandbox: Sandbox) -> None:
    from buildsys.local.sandbox import BoundedLog

    (tmp_path / "input" / "below").mkdir(parents=True)
    (tmp_path / "input" / "below" / "file").write_text("read\n")
    for path in (tmp_path / "input" / "below" / "file", tmp_path / "input" / "below", tmp_path / "input"):
        path.chmod(0o700)
    box = Sandbox(sandbox.work, sandbox.mountpoint, readonly={"/input": tmp_path / "input"})
    box.prepare()
    with BoundedLog(tmp_path / "log", 1 << 20) as log:
        assert box.run(["cat", "/input/below/file"], log) == 0
