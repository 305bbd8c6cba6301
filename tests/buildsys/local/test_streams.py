"""The repository of a stream, from which users install and upgrade."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path

import pytest

from buildsys.base import Module, Result
from buildsys.delivery import WithdrawsModules
from buildsys.local import streams
from buildsys.local.modules import ModuleFolder
from buildsys.local.streams import StreamFolder
from tests.buildsys.local.repositories import WITH_DNF, dnf, names, repository
from tests.buildsys.packages import DOCUMENT, Bench, module, spec


def context(number: int, platform: str, version: int = 92026) -> Module:
    """A build of a version for a platform. Builds of one version are siblings."""
    own = f"{number:08x}"
    text = DOCUMENT.replace("el9", platform).replace("c0ffee12", own).replace("92026", str(version))
    return module(
        id=number,
        version=str(version),
        context=own,
        tag=f"module-tiny-1-{version}-{own}",
        disttag=f"module+{platform}+{version}+{own}",
        modulemd=text,
        buildrequires={"platform": {"stream": platform, "koji_tag": f"module-{platform}"}},
    )


def as_before(root: Path, *newest_first: Module) -> StreamFolder:
    """Make the repository of a stream as earlier versions did: one for all platforms."""
    stream = StreamFolder(root, "tiny", "1")
    for each in stream.platforms():
        shutil.rmtree(each.path)
    (stream.path / "repo").unlink()
    stream.repo_file.unlink()
    tree = stream.path / "tree-3"
    tree.mkdir()
    (stream.path / "repo").symlink_to("tree-3")
    (stream.path / "builds.json").write_text(json.dumps([each.tag for each in newest_first]))
    return stream


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


def test_a_finished_build_has_a_repository_a_repo_file_and_install_commands(tmp_path: Path) -> None:
    result = finish(tmp_path / "local", version(7))
    place = "http://mbs.example.org/results/streams/tiny/1/platform-el9"
    assert result.delivery.repository_url == f"{place}/repo/"
    assert result.delivery.repo_file_url == f"{place}/mbs-tiny-1.repo"
    assert result.delivery.install == (
        f"curl -fsSLo /etc/yum.repos.d/mbs-tiny-1.repo {place}/mbs-tiny-1.repo",
        "dnf --setopt=module_platform_id=platform:el9 module install tiny:1/default",
    )
    parsed = ConfigParser()
    parsed.read(tmp_path / "local/streams/tiny/1/platform-el9/mbs-tiny-1.repo")
    assert parsed.sections() == ["mbs-tiny-1"]
    assert parsed["mbs-tiny-1"]["baseurl"] == f"{place}/repo/"


def test_builds_of_a_stream_are_in_one_repository_the_newest_first(tmp_path: Path) -> None:
    root = tmp_path / "local"
    for number in (7, 8):
        finish(root, version(number))
    folder = repository(root)
    assert folder.builds() == [version(8).tag, version(7).tag]
    assert names(folder.repo) == [f"one-1-1.module+el9+{number}+c0ffee12.noarch.rpm" for number in (7, 8)]


def test_finishing_twice_leaves_the_repository_alone(tmp_path: Path) -> None:
    root, built = tmp_path / "local", version(7)
    first = finish(root, built)
    folder = repository(root)
    before = os.readlink(folder.repo)
    bench = Bench(root, module=built)
    again = bench.system.finalize(built, {"one": f"one-1-1.{built.disttag}"})
    assert (again.delivery, os.readlink(folder.repo)) == (first.delivery, before)


def test_the_tree_before_the_present_one_stays_for_clients_that_read_it(tmp_path: Path) -> None:
    root = tmp_path / "local"
    for number in (7, 8, 9):
        finish(root, version(number))
    folder = repository(root)
    assert sorted(path.name for path in folder.path.glob("tree-*")) == ["tree-2", "tree-3"]
    assert os.readlink(folder.repo) == "tree-3"


def test_the_oldest_builds_leave_a_repository_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_BUILDS", 1)
    root = tmp_path / "local"
    for number in (7, 8):
        finish(root, version(number))
    folder = repository(root)
    assert folder.builds() == [version(8).tag]
    assert names(folder.repo) == ["one-1-1.module+el9+8+c0ffee12.noarch.rpm"]


def test_a_full_repository_names_no_build_that_is_not_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_RPMS", 1)
    root = tmp_path / "local"
    built = [context(1, "el9", 3), context(2, "el9", 2), replace(context(1, "el9", 1), id=3)]
    for each in built:
        finish(root, each)
    folder = repository(root)
    assert (folder.builds(), names(folder.repo)) == (
        [built[2].tag],
        ["one-1-1.module+el9+1+00000001.noarch.rpm"],
    )
    own = ModuleFolder(root, built[1].tag)
    absence = streams.left_out(built[1], own, "http://mbs.example.org")
    assert absence is not None
    assert not absence.instead


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
    folder = repository(root)
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
    folder = repository(root)
    assert sorted(folder.builds()) == [each.tag for each in built]
    assert len(names(folder.repo)) == 3


@pytest.mark.parametrize(("name", "stream"), [("..", ".."), ("a/b", "c/../d"), (".x", "%2e")])
def test_odd_characters_do_not_leave_the_folder(tmp_path: Path, name: str, stream: str) -> None:
    folder = StreamFolder(tmp_path, name, stream)
    assert folder.path.resolve().parent.parent == (tmp_path / "streams").resolve()
    assert folder.platform(name).path.resolve().parent == folder.path.resolve()
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
        config.read(repository(root, name, stream).repo_file)
    assert sorted(config[section]["baseurl"] for section in config.sections()) == [
        "http://mbs.example.org/results/streams/a-b/c/platform-el9/repo/",
        "http://mbs.example.org/results/streams/a/b-c/platform-el9/repo/",
    ]


def test_each_platform_has_a_repository_with_its_builds_only(tmp_path: Path) -> None:
    root = tmp_path / "local"
    nine, ten = context(7, "el9"), context(8, "el10")
    results = [finish(root, each) for each in (nine, ten)]
    place = "http://mbs.example.org/results/streams/tiny/1"
    assert [each.delivery.repository_url for each in results] == [
        f"{place}/platform-el9/repo/",
        f"{place}/platform-el10/repo/",
    ]
    assert repository(root).builds() == [nine.tag]
    assert repository(root, platform="el10").builds() == [ten.tag]
    for each, platform in ((nine, "el9"), (ten, "el10")):
        assert names(repository(root, platform=platform).repo) == [f"one-1-1.{each.disttag}.noarch.rpm"]


def test_a_module_without_a_platform_has_a_repository(tmp_path: Path) -> None:
    root = tmp_path / "local"
    text = DOCUMENT.replace("buildrequires: {platform: [el9]}", "buildrequires: {}")
    built = version(7, modulemd=text.replace("requires: {platform: [el9]}", "requires: {}"), buildrequires={})
    result = finish(root, built)
    assert result.delivery.repository_url.endswith("/streams/tiny/1/no-platform/repo/")
    assert repository(root, platform="").builds() == [built.tag]


def test_a_retired_build_leaves_the_repository_of_its_platform_only(tmp_path: Path) -> None:
    root = tmp_path / "local"
    nine, ten = context(7, "el9"), context(8, "el10")
    for each in (nine, ten):
        finish(root, each)
    Bench(root, module=ten).system.withdraw(ten)
    assert repository(root).builds() == [nine.tag]
    assert names(repository(root, platform="el10").repo) == []


def test_the_addresses_of_earlier_versions_lead_to_the_first_platform(tmp_path: Path) -> None:
    root = tmp_path / "local"
    for each in (context(7, "el9"), context(8, "el10")):
        finish(root, each)
    stream = StreamFolder(root, "tiny", "1")
    assert names(stream.path / "repo") == names(repository(root).repo)
    assert stream.repo_file.read_text() == repository(root).repo_file.read_text()


def test_a_repository_of_all_platforms_is_divided_when_the_stream_changes(tmp_path: Path) -> None:
    root = tmp_path / "local"
    nine, ten, later = context(7, "el9"), context(8, "el10"), context(9, "el10", 92027)
    for each in (nine, ten):
        finish(root, each)
    stream = as_before(root, ten, nine)
    stream.repo_file.write_text("[mbs-tiny-1]\n")
    finish(root, later)
    assert repository(root).builds() == [nine.tag]
    assert repository(root, platform="el10").builds() == [later.tag, ten.tag]
    assert names(stream.path / "repo") == names(repository(root).repo)
    assert stream.repo_file.read_text() == "[mbs-tiny-1]\n"
    assert (stream.path / "tree-3").exists()  # for clients that are reading it
    finish(root, context(10, "el9", 92027))
    assert stream.repo_file.read_text() == repository(root).repo_file.read_text()
    assert not (stream.path / "tree-3").exists()


def test_a_retired_build_leaves_a_repository_of_all_platforms(tmp_path: Path) -> None:
    root = tmp_path / "local"
    nine, ten = context(7, "el9"), context(8, "el10")
    for each in (nine, ten):
        finish(root, each)
    as_before(root, ten, nine)
    Bench(root, module=nine).system.withdraw(nine)
    assert repository(root).builds() == []
    assert repository(root, platform="el10").builds() == [ten.tag]


@WITH_DNF
def test_dnf_keeps_the_package_of_its_platform_when_a_sibling_for_another_is_ready(tmp_path: Path) -> None:
    root, scratch, repos = tmp_path / "local", tmp_path / "root", tmp_path / "repos"
    repos.mkdir()
    nine = context(7, "el9")
    finish(root, nine, base_url="")
    shutil.copy(StreamFolder(root, "tiny", "1").repo_file, repos)
    hosts = [root / "modules" / nine.tag / "host"]
    dnf(scratch, repos, hosts, "module", "install", "tiny:1/default")
    finish(root, context(8, "el10"), base_url="")
    dnf(scratch, repos, hosts, "update")
    assert f".{nine.disttag} " in dnf(scratch, repos, hosts, "list", "--installed", "one")


@WITH_DNF
def test_dnf_installs_by_the_file_and_upgrades_to_the_next_build(tmp_path: Path) -> None:
    root, scratch, repos = tmp_path / "local", tmp_path / "root", tmp_path / "repos"
    repos.mkdir()
    finish(root, version(7), base_url="")
    folder = repository(root)
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
    shutil.copy(repository(root, "upper").repo_file, repos)
    hosts = [root / "modules" / each.tag / "host" for each in (version(7), upper)]
    dnf(scratch, repos, hosts, "module", "install", "upper:1/default")
    assert {path.name for path in (scratch / "usr/share").iterdir()} >= {"one", "upper"}
    assert repository(root, "upper").builds() == [upper.tag]
