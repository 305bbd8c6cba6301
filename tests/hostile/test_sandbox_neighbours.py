"""Builds that exhaust resources that all builds share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from buildsys.local import cgroups, trees
from buildsys.local.sandbox import Limits, remove_tree
from tests.hostile.services import Service
from tests.processes import is_alive

DEEP = """
import os
for _ in range(3000):
    os.mkdir("d" * 20)
    os.chdir("d" * 20)
open("file", "w").close()
"""


def test_a_folder_of_3000_levels_is_measured_and_removed(everyone: Service) -> None:
    # It stays for longer than a measurement takes to begin.
    outcome = everyone.python(DEEP + "import time; time.sleep(1.5)")
    assert (outcome.code, outcome.stopped) == (0, "")
    everyone.call(
        "import sys; from pathlib import Path; from buildsys.local.sandbox import remove_tree\n"
        "remove_tree(Path(sys.argv[1]))",
        str(everyone.work),
    )
    assert not everyone.work.exists()


def test_links_are_never_followed_when_a_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "tree" / "below" / "link").symlink_to("../../outside")
    (tmp_path / "alias").symlink_to(tmp_path / "outside")
    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "alias")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside"]
    assert (tmp_path / "outside" / "kept").exists()


def test_a_folder_that_is_moved_while_it_is_measured_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "_HELD", 1)
    (tmp_path / "work" / "z").mkdir(parents=True)
    inner = tmp_path / "work" / "a" / "b" / "c"
    inner.mkdir(parents=True)
    visited = []

    def visit(folder: int) -> list[str]:
        visited.append(os.readlink(f"/proc/self/fd/{folder}"))
        if visited[-1].endswith("/c"):
            inner.rename(tmp_path / "work" / "moved")
        return sorted((entry.name for entry in os.scandir(folder)), reverse=True)

    top = os.open(tmp_path / "work", trees.FOLDER)
    before = len(os.listdir("/proc/self/fd"))
    trees._walk(top, visit, unlock=False)
    work = str(tmp_path / "work")
    assert visited == [work, f"{work}/a", f"{work}/a/b", f"{work}/a/b/c", f"{work}/z"]
    (tmp_path / "work" / "moved").rename(inner)
    with pytest.raises(trees.TreeChanged):
        trees._walk(top, visit)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(top)


def test_a_build_that_fills_the_disk_is_stopped(everyone: Service) -> None:
    outcome = everyone.run("dd if=/dev/zero of=big bs=1M count=24 2>/dev/null; sleep 50", disk_bytes=8 << 20)
    assert outcome.stopped == "it used more than 8 MiB of disk space"


def test_deleted_open_files_count_as_well(everyone: Service) -> None:
    program = """
import os, time
file = open("big", "wb")
os.unlink("big")
file.write(bytes(24 << 20))
file.flush()
time.sleep(50)
"""
    assert everyone.python(program, disk_bytes=8 << 20).stopped == "it used more than 8 MiB of disk space"


def test_a_build_that_makes_many_files_is_stopped(everyone: Service) -> None:
    script = "mkdir -m 700 d; cd d; seq 3000 | xargs touch; chmod 0 .; sleep 50"
    assert everyone.run(script, files=500).stopped == "it created more than 500 files"


def test_a_build_gets_no_more_than_its_share_of_what_is_free(tmp_path: Path) -> None:
    space = os.statvfs(tmp_path)
    free = space.f_bavail * space.f_frsize
    reserve = free // 2
    allowed = Limits(disk_bytes=1 << 60, files=1 << 60, free_bytes=reserve, free_files=0, jobs=4)
    assert allowed.allowance(tmp_path)["disk"] <= free // 4
    assert Limits(disk_bytes=1 << 20).allowance(tmp_path)["disk"] == 1 << 20


def test_a_fork_bomb_takes_only_its_own_processes(everyone: Service) -> None:
    program = """
import os, time
made = 0
for _ in range(400):
    try:
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
    except BlockingIOError:
        break
    made += 1
print(made)
"""
    neighbour = everyone.start("sleep 1; echo fine", name="neighbour")
    outcome = everyone.python(program, processes=40)
    assert int(outcome.output) < 40
    out, error = neighbour.communicate(timeout=60)
    assert '"code": 0' in out, (out, error)


def test_processes_together_use_no_more_memory_than_the_limit(everyone: Service) -> None:
    program = "from buildsys.local import cgroups; print(cgroups.place() is not None)"
    if everyone.call(program).strip() != "True":
        pytest.skip("no control group can be made here by this user")
    hog = """
import os, time
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        block = bytearray(48 << 20)
        time.sleep(1)
        os._exit(0)
    children.append(child)
raise SystemExit(max(os.waitpid(child, 0)[1] for child in children) and 1)
"""
    outcome = everyone.python(hog, memory_bytes=96 << 20)
    assert outcome.stopped == "it used more than 96 MiB of memory"


def test_without_a_control_group_the_address_space_is_bounded() -> None:
    assert Limits(memory_bytes=7).rlimits()["RLIMIT_AS"] == 7
    assert "RLIMIT_AS" not in Limits(memory_bytes=7).rlimits(grouped=True)


def test_when_memory_is_short_the_kernel_takes_the_build(everyone: Service) -> None:
    assert everyone.run("cat /proc/self/oom_score_adj").output.strip() == "1000"


def _has_processor_controller(place: cgroups.Place) -> bool:
    if place.version == 1:
        return "cpu" in cgroups._mounts()
    return "cpu" in (place.folders[0] / "cgroup.controllers").read_text().split()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is sure to be able to make control groups")
def test_a_build_has_one_share_of_the_processors_however_many_sessions_it_has() -> None:
    place = cgroups.place()
    if place is None or not _has_processor_controller(place):
        pytest.skip("no control group for processor time can be made here")
    with cgroups.made(f"mbs-{uuid.uuid4().hex}", 1 << 28, 64) as group:
        files = [folder / name for folder in group.folders for name in ("cpu.weight", "cpu.shares")]
        assert [int(file.read_text()) for file in files if file.exists()] in ([25], [256])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is sure to be able to make control groups")
def test_a_control_group_that_a_dead_worker_left_is_made_anew(tmp_path: Path) -> None:
    if cgroups.place() is None:
        pytest.skip("no control group can be made here")
    name = f"module-build-service-test-{os.getpid()}"
    program = (
        "import os, subprocess, sys; from buildsys.local import cgroups\n"
        "with cgroups.made(sys.argv[1], 1 << 28, 64) as group:\n"
        "    group.add(os.getpid())\n"
        "    orphan = subprocess.Popen(['sleep', '3600'], stdout=subprocess.DEVNULL)\n"
        "    print(orphan.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    argv = [sys.executable, "-c", program, name]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=30, check=False)
    orphan = int(done.stdout)
    assert is_alive(orphan)
    with cgroups.made(name, 1 << 28, 64) as group:
        assert group.folders
        assert not any((folder / "cgroup.procs").read_text() for folder in group.folders)
    assert not any(folder.exists() for folder in group.folders)
    ends = time.monotonic() + 10
    while is_alive(orphan):
        assert time.monotonic() < ends
