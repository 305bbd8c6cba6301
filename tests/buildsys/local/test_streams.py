"""The repository of a stream, from which users install and upgrade."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path

import pytest

from buildsys.base import Module, Result
from buildsys.delivery import WithdrawsModules
from buildsys.local import streams
from buildsys.local.streams import StreamFolder
from tests.buildsys.packages import DOCUMENT, Bench, module, spec

WITH_DNF = pytest.mark.skipif(not shutil.which("dnf"), reason="dnf is not here")


def version(number: int, **changes: object) -> Module:
    """The module build with a number, which has a version and a dist tag of its own."""
    return module(
        id=number,
        version=str(92026 + number),
        tag=f"module-tiny-1-{92026 + number}-c0ffee12",
        disttag=f"module+el9+{number}+c0ffee12",
        **changes,
    )


def finish(root: Path, built: Module, base_url: str = "http://mbs.example.org") -> Result:
    """Build the one package of a module build, and finish it."""
    bench = Bench(root, module=built, base_url=base_url)
    nvr = bench.complete(bench.job(built.id, "one", spec("one", of=built)))
    return bench.system.finalize(built, {"one": nvr})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.rpm"))


def test_a_finished_build_tells_the_repository_the_file_and_the_commands(tmp_path: Path) -> None:
    result = finish(tmp_path / "local", version(7))
    place = "http://mbs.example.org/results/streams/tiny/1"
    assert result.delivery.repository_url == f"{place}/repo/"
    assert result.delivery.repo_file_url == f"{place}/mbs-tiny-1.repo"
    assert result.delivery.install == (
        f"curl -fsSLo /etc/yum.repos.d/mbs-tiny-1.repo {place}/mbs-tiny-1.repo",
        "dnf --setopt=module_platform_id=platform:el9 module install tiny:1/default",
    )
    parsed = ConfigParser()
    parsed.read(tmp_path / "local/streams/tiny/1/mbs-tiny-1.repo")
    assert parsed.sections() == ["mbs-tiny-1"]
    assert parsed["mbs-tiny-1"]["baseurl"] == f"{place}/repo/"


def test_builds_of_a_stream_are_in_one_repository_the_newest_first(tmp_path: Path) -> None:
    root = tmp_path / "local"
    for number in (7, 8):
        finish(root, version(number))
    folder = StreamFolder(root, "tiny", "1")
    assert folder.builds() == [version(8).tag, version(7).tag]
    assert names(folder.repo) == [f"one-1-1.module+el9+{number}+c0ffee12.noarch.rpm" for number in (7, 8)]


def test_finishing_twice_leaves_the_repository_alone(tmp_path: Path) -> None:
    root, built = tmp_path / "local", version(7)
    first = finish(root, built)
    folder = StreamFolder(root, "tiny", "1")
    before = os.readlink(folder.repo)
    bench = Bench(root, module=built)
    again = bench.system.finalize(built, {"one": f"one-1-1.{built.disttag}"})
    assert (again.delivery, os.readlink(folder.repo)) == (first.delivery, before)


def test_the_tree_before_the_present_one_stays_for_clients_that_read_it(tmp_path: Path) -> None:
    root = tmp_path / "local"
    for number in (7, 8, 9):
        finish(root, version(number))
    folder = StreamFolder(root, "tiny", "1")
    assert sorted(path.name for path in folder.path.glob("tree-*")) == ["tree-2", "tree-3"]
    assert os.readlink(folder.repo) == "tree-3"


def test_the_oldest_builds_leave_a_repository_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_BUILDS", 1)
    root = tmp_path / "local"
    for number in (7, 8):
        finish(root, version(number))
    folder = StreamFolder(root, "tiny", "1")
    assert folder.builds() == [version(8).tag]
    assert names(folder.repo) == ["one-1-1.module+el9+8+c0ffee12.noarch.rpm"]


def test_a_scratch_build_is_in_no_repository_of_a_stream(tmp_path: Path) -> None:
    result = finish(tmp_path / "local", version(7, scratch=True))
    assert not (tmp_path / "local" / "streams").exists()
    assert result.delivery.repository_url == f"http://mbs.example.org/results/modules/{version(7).tag}/repo/"
    assert (result.delivery.repo_file_url, result.delivery.install) == ("", ())


def test_a_withdrawn_build_leaves_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "local"
    for number in (7, 8):
        finish(root, version(number))
    bench = Bench(root, module=version(8))
    assert isinstance(bench.system, WithdrawsModules)
    for _ in range(2):
        bench.system.withdraw(version(8))
    folder = StreamFolder(root, "tiny", "1")
    assert folder.builds() == [version(7).tag]
    assert names(folder.repo) == ["one-1-1.module+el9+7+c0ffee12.noarch.rpm"]


def test_builds_that_are_finished_at_once_are_all_there(tmp_path: Path) -> None:
    root = tmp_path / "local"
    built = [version(number) for number in (7, 8, 9)]
    benches = [Bench(root, module=each) for each in built]
    nvrs = [
        bench.complete(bench.job(each.id, "one", spec("one", of=each)))
        for bench, each in zip(benches, built, strict=True)
    ]
    threads = [
        threading.Thread(target=bench.system.finalize, args=(each, {"one": nvr}))
        for bench, each, nvr in zip(benches, built, nvrs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder = StreamFolder(root, "tiny", "1")
    assert sorted(folder.builds()) == [each.tag for each in built]
    assert len(names(folder.repo)) == 3


@pytest.mark.parametrize(("name", "stream"), [("..", ".."), ("a/b", "c/../d"), (".x", "%2e")])
def test_odd_characters_do_not_leave_the_folder(tmp_path: Path, name: str, stream: str) -> None:
    folder = StreamFolder(tmp_path, name, stream)
    assert folder.path.resolve().parent.parent == (tmp_path / "streams").resolve()
    assert "/" not in folder.label


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a-b", "c"), ("a", "b-c")),
        (("a", "b+c"), ("a", "b-c")),
        (("a", "b:c"), ("a", "b/c")),
        (("a", "x" * 200), ("a", "x" * 201)),
    ],
)
def test_streams_have_distinct_sections_and_files(
    tmp_path: Path, one: tuple[str, str], other: tuple[str, str]
) -> None:
    folders = [StreamFolder(tmp_path, *each) for each in (one, other)]
    assert len({folder.label for folder in folders}) == 2
    assert all(re.fullmatch(r"mbs-[A-Za-z0-9_.-]{1,200}", folder.label) for folder in folders)


def test_a_machine_takes_both_of_two_streams_whose_names_look_alike(tmp_path: Path) -> None:
    root = tmp_path / "local"
    config = ConfigParser()
    for number, (name, stream) in enumerate((("a-b", "c"), ("a", "b-c"))):
        built = version(number, name=name, stream=stream)
        finish(root, built)
        config.read(StreamFolder(root, name, stream).repo_file)
    assert sorted(config[section]["baseurl"] for section in config.sections()) == [
        "http://mbs.example.org/results/streams/a-b/c/repo/",
        "http://mbs.example.org/results/streams/a/b-c/repo/",
    ]


def dnf(root: Path, repos: Path, hosts: Sequence[Path], *command: str) -> str:
    """Run dnf on a root of its own with the repositories of some ``.repo`` files."""
    become_root = () if os.geteuid() == 0 else ("unshare", "--map-root-user")
    done = subprocess.run(
        [
            *(*become_root, "dnf", "--assumeyes", "--nogpgcheck", f"--installroot={root}", "--releasever=0"),
            f"--setopt=reposdir={repos}",
            "--setopt=module_platform_id=platform:el9",
            *(f"--repofrompath=host-{number},{host.as_uri()}" for number, host in enumerate(hosts)),
            *("--refresh", *command),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@WITH_DNF
def test_dnf_installs_by_the_file_and_upgrades_to_the_next_build(tmp_path: Path) -> None:
    root, scratch, repos = tmp_path / "local", tmp_path / "root", tmp_path / "repos"
    repos.mkdir()
    finish(root, version(7), base_url="")
    folder = StreamFolder(root, "tiny", "1")
    shutil.copy(folder.repo_file, repos)
    hosts = [root / "modules" / version(7).tag / "host"]
    dnf(scratch, repos, hosts, "module", "install", "tiny:1/default")
    assert "+el9+7+" in dnf(scratch, repos, hosts, "list", "--installed", "one")
    result = finish(root, version(8), base_url="")
    assert result.delivery.repo_file_url == folder.repo_file.as_uri()
    dnf(scratch, repos, hosts, "update")
    assert "+el9+8+" in dnf(scratch, repos, hosts, "list", "--installed", "one")


@WITH_DNF
def test_the_file_of_a_stream_brings_the_repositories_of_required_modules(tmp_path: Path) -> None:
    root, scratch, repos = tmp_path / "local", tmp_path / "root", tmp_path / "repos"
    repos.mkdir()
    finish(root, version(7), base_url="")
    text = DOCUMENT.replace("name: tiny", "name: upper").replace("rpms: [one]", "rpms: [upper]")
    text = text.replace("requires: {platform: [el9]}", "requires: {platform: [el9], tiny: ['1']}")
    text = text[: text.index("      one: {")] + "      upper: {rationale: r}\n"
    against = {"platform": {"stream": "el9", "koji_tag": "module-el9"}}
    upper = module(
        id=9,
        name="upper",
        tag="module-upper-1-92026-c0ffee12",
        modulemd=text,
        buildrequires=against | {"tiny": {"stream": "1", "koji_tag": version(7).tag}},
    )
    bench = Bench(root, module=upper, base_url="")
    package = spec("upper", head="Requires: one", of=upper)
    nvr = bench.complete(bench.job(9, "upper", package))
    bench.system.finalize(upper, {"upper": nvr})
    shutil.copy(StreamFolder(root, "upper", "1").repo_file, repos)
    hosts = [root / "modules" / each.tag / "host" for each in (version(7), upper)]
    dnf(scratch, repos, hosts, "module", "install", "upper:1/default")
    assert {path.name for path in (scratch / "usr/share").iterdir()} >= {"one", "upper"}
    assert json.loads((StreamFolder(root, "upper", "1").path / "builds.json").read_text()) == [upper.tag]
