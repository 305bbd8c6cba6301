"""The demo's parts: repositories made of folders, and the service it starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from git import Repo

from mbs.client.address import Running, lock, publish
from mbs.client.demo.command import while_service_runs
from mbs.client.demo.example import make_repositories
from mbs.client.demo.install import DnfFailed, finished_module, installed_files, run
from mbs.client.demo.repositories import commit_tree
from mbs.client.demo.service import Service, ServiceFailed, service
from mbs.client.watching import Snapshot
from mbs.errors import NotFound
from mbs.modulemd import parse_stream
from tests.mbs.client.fake_server import FakeServer


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "quiet.spec").write_text("Name: quiet\n")
    (folder / "sub" / "file").write_text("1\n")
    return folder


def test_repository_holds_the_folder_on_its_branch(tree: Path, tmp_path: Path) -> None:
    commit = commit_tree(tree, tmp_path / "git" / "quiet", "1.0", always=False)
    repo = Repo(tmp_path / "git" / "quiet")
    assert [blob.path for blob in repo.commit("1.0").tree.traverse() if blob.type == "blob"] == [
        "quiet.spec",
        "sub/file",
    ]
    assert commit.scmurl == f"file://{tmp_path}/git/quiet?#{repo.commit('1.0').hexsha}"


def test_unchanged_folder_is_committed_only_when_asked_for(tree: Path, tmp_path: Path) -> None:
    first = commit_tree(tree, tmp_path / "git", "1", always=False)
    assert commit_tree(tree, tmp_path / "git", "1", always=False) == first
    again = commit_tree(tree, tmp_path / "git", "1", always=True)
    assert again != first
    assert Repo(tmp_path / "git").commit(again.hexsha).parents[0].hexsha == first.hexsha


def test_changes_and_removals_are_committed(tree: Path, tmp_path: Path) -> None:
    first = commit_tree(tree, tmp_path / "git", "1", always=False)
    (tree / "sub" / "file").unlink()
    (tree / "quiet.spec").write_text("Name: loud\n")
    second = commit_tree(tree, tmp_path / "git", "1", always=False)
    assert second != first
    files = Repo(tmp_path / "git").commit(second.hexsha).tree
    assert [(blob.path, blob.data_stream.read()) for blob in files.traverse()] == [
        ("quiet.spec", b"Name: loud\n")
    ]


@pytest.mark.parametrize("damage", ["HEAD", "objects"])
def test_damaged_repository_is_made_anew(tree: Path, tmp_path: Path, damage: str) -> None:
    commit_tree(tree, tmp_path / "git", "1", always=False)
    path = tmp_path / "git" / ".git" / damage
    path.rename(path.with_name("gone"))
    commit = commit_tree(tree, tmp_path / "git", "1", always=False)
    assert Repo(tmp_path / "git").commit("1").hexsha == commit.hexsha


def test_hooks_and_signatures_of_the_user_take_no_part(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hooks").mkdir()
    hook = tmp_path / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    config = f"[core]\n\thooksPath = {tmp_path}/hooks\n[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = false\n"
    (tmp_path / ".gitconfig").write_text(config)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert commit_tree(tree, tmp_path / "git", "1", always=False)


def test_folder_inside_another_repository_gets_one_of_its_own(tree: Path, tmp_path: Path) -> None:
    outer = commit_tree(tree, tmp_path / "outer", "1", always=False)
    commit_tree(tree, tmp_path / "outer" / "demo", "1", always=False)
    assert (tmp_path / "outer" / "demo" / ".git").is_dir()
    assert Repo(tmp_path / "outer").head.commit.hexsha == outer.hexsha


def test_running_service_is_used_and_left_alone(server: FakeServer, tmp_path: Path) -> None:
    held = lock(tmp_path)
    there = Running(server.url, os.getpid(), str(tmp_path))
    publish(there)
    with service(tmp_path, keep=False) as mine:
        assert mine.ready() == there
    os.close(held)


def test_a_service_that_cannot_start_prints_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with (
        service(tmp_path / "data", keep=False) as mine,
        pytest.raises(ServiceFailed, match="No Redis server is installed"),
    ):
        mine.ready()


def test_released_service_is_not_asked_to_stop_twice(tmp_path: Path) -> None:
    script = "trap 'echo asked; sleep 0.5 & wait; exit' TERM; echo runs; while :; do sleep 0.02; done"
    with subprocess.Popen(("sh", "-c", script), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        mine = Service(tmp_path, [], process)
        mine.release()
        assert process.stdout.readline() == "asked\n"
        assert process.poll() is None
        mine.stop()
        assert process.stdout.read() == ""
        assert process.returncode == 0


def finished(data: Path, dnf: str) -> Path:
    """What the local build system leaves of a finished module, with a program in the place of dnf."""
    folder = data / "local" / "modules" / "module-quiet"
    (folder / "repo").mkdir(parents=True)
    options = f"{dnf} --installroot=/tmp/quiet-root '--repofrompath=a b,{folder}/repo'"
    (folder / "dnf.txt").write_text(
        f"{options} module list quiet\n{options} module install quiet:1/default\n"
    )
    return folder


def test_commands_of_a_finished_module_work_on_the_scratch_root(tmp_path: Path) -> None:
    dnf = tmp_path / "dnf"
    dnf.write_text(
        '#!/bin/sh\necho "$@"; root=${1#--installroot=}; mkdir -p $root/usr/bin; touch $root/usr/bin/x\n'
    )
    dnf.chmod(0o755)
    folder = finished(tmp_path, str(dnf))
    root = tmp_path / "root"
    module = finished_module(tmp_path, "module-quiet", root)
    assert module is not None
    assert module.repository == folder / "repo"
    told = f"--installroot={root} --repofrompath=a b,{folder}/repo module"
    assert run(module.listing, root) == f"{told} list quiet"
    assert run(module.install, root) == f"{told} install quiet:1/default"
    assert installed_files(root) == ["/usr/bin/x"]


def test_the_output_of_a_failed_dnf_is_kept(tmp_path: Path) -> None:
    with pytest.raises(DnfFailed, match="exit code 3:\nnothing provides x"):
        run(("sh", "-c", "echo nothing provides x; exit 3"), tmp_path / "root")


def test_other_build_systems_leave_nothing_for_dnf(tmp_path: Path) -> None:
    assert finished_module(tmp_path, "module-quiet", tmp_path / "root") is None


def test_files_that_dnf_keeps_for_itself_are_not_the_modules(tmp_path: Path) -> None:
    for name in (
        "usr/share/quiet/a",
        "etc/quiet.conf",
        "etc/dnf/x",
        "var/lib/rpm/rpmdb.sqlite",
        "var/cache/y",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert installed_files(tmp_path) == ["/etc/quiet.conf", "/usr/share/quiet/a"]


def test_end_of_the_service_ends_the_watching(tmp_path: Path) -> None:
    (tmp_path / "up.log").write_text("web ended 6 times in a row: giving up.\n")
    looks = iter([Snapshot(()), Snapshot((), "It cannot be reached."), Snapshot(())])
    shown = while_service_runs(tmp_path, looks)
    assert next(shown) == Snapshot(())
    with pytest.raises(ServiceFailed, match="giving up"):
        next(shown)


def test_short_outage_of_a_service_that_lives_does_not(tmp_path: Path) -> None:
    held = lock(tmp_path)
    publish(Running("http://127.0.0.1:1", os.getpid(), str(tmp_path)))
    looks = [Snapshot((), "It cannot be reached."), Snapshot(())]
    assert list(while_service_runs(tmp_path, looks)) == looks
    os.close(held)


def test_example_gets_a_new_version_each_time_and_its_components_do_not(tmp_path: Path) -> None:
    first, second = make_repositories(tmp_path), make_repositories(tmp_path)
    assert first.branch == second.branch == "1"
    assert first.commit.hexsha != second.commit.hexsha
    text = (tmp_path / "modules" / "greetings" / "greetings.yaml").read_text()
    document = parse_stream(text, strict=True, name="greetings")
    assert {name: each.repository for name, each in document.rpm_components.items()} == {
        name: f"file://{tmp_path}/rpms/{name}" for name in document.rpm_components
    }
    for name in document.rpm_components:
        assert (tmp_path / "rpms" / name / f"{name}.spec").is_file()
        assert len(list(Repo(tmp_path / "rpms" / name).iter_commits("main"))) == 2


def test_examples_that_are_not_there_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbs.client.demo.example.EXAMPLES", tmp_path)
    with pytest.raises(NotFound, match=r"greetings\.yaml"):
        make_repositories(tmp_path / "git")
