"""Modules of the repositories that are configured on this machine."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from builds.resolvers import LayeredUniverse, RepositoryUniverse
from buildsys import module_metadata as module
from mbs.expansion import Available, MemoryUniverse, expand
from mbs.modulemd import Dependencies, StreamV2
from tests.builds.resolvers.documents import text

DATA = Path(__file__).parents[4] / "shared" / "data" / "modulemd" / "f29.yaml"
BASE = ("platform", "f40")


def names(builds: list[Available]) -> list[str]:
    return [str(build.nsvc) for build in builds]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "fedora-1234" / "repodata"
    folder.mkdir(parents=True)
    return folder


def universe(folder: Path) -> RepositoryUniverse:
    return RepositoryUniverse([str(folder.parents[1])])


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)],
)
def test_metadata_of_repositories_is_read_as_it_is_packed(folder: Path, suffix: str, pack) -> None:
    content = text("perl", "5.30", 1) + text("perl", "5.32", 1) + text("ruby", "3", 1)
    (folder / f"0a1b-modules.yaml{suffix}").write_bytes(pack(content.encode()))
    assert universe(folder).streams(["perl", "ruby", "other"]) == {
        "perl": ["5.30", "5.32"],
        "ruby": ["3"],
        "other": [],
    }


@pytest.mark.skipif(not shutil.which("zstd"), reason="the program zstd is not installed")
def test_zstd_is_read_with_its_program(folder: Path) -> None:
    plain = folder / "plain"
    plain.write_text(text("perl", "5.30", 1))
    subprocess.run(["zstd", "-q", plain, "-o", folder / "x-modules.yaml.zst"], check=True)
    assert universe(folder).streams(["perl"]) == {"perl": ["5.30"]}


def test_only_the_newest_version_counts_in_all_its_contexts(folder: Path) -> None:
    versions = [text("perl", "5.30", 9), text("perl", "5.30", 10, "a"), text("perl", "5.30", 10, "b")]
    (folder / "modules.yaml").write_text("".join(versions))
    assert names(universe(folder).candidates([("perl", "5.30")], [BASE])) == [
        "perl:5.30:10:a",
        "perl:5.30:10:b",
    ]


def test_they_go_with_whatever_base_module_is_asked_about(folder: Path) -> None:
    (folder / "modules.yaml").write_text(text("perl", "5.30", 1))
    (build,) = universe(folder).candidates([("perl", "5.30")], [BASE])
    assert build.built_against == {"platform": "f40"}
    assert universe(folder).base_modules(["platform"]) == ()


def test_invalid_files_are_ignored(folder: Path) -> None:
    (folder / "1-modules.yaml").write_text(
        text("perl", "5.30", 1) + "--- \nname: perl\n\t[\n" + text("perl", "2", 1)
    )
    (folder / "2-modules.yaml.gz").write_bytes(b"no gzip")
    (folder / "3-modules.yaml.xz").write_bytes(b"no xz")
    (folder / "4-modules.yaml.gz").write_bytes(gzip.compress(b"cut off" * 1000)[:-9])
    (folder / "primary.xml").write_text("name: perl")
    assert universe(folder).streams(["perl"]) == {"perl": ["2", "5.30"]}
    assert RepositoryUniverse(["/nowhere"]).streams(["perl"]) == {"perl": []}


def test_a_file_that_unpacks_without_end_is_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    bomb = text("perl", "5.30", 1).encode() + b"#" * 10_000_000
    (folder / "modules.yaml.gz").write_bytes(gzip.compress(bomb))
    assert universe(folder).streams(["perl"]) == {"perl": []}


def test_a_file_that_changes_is_read_again(folder: Path) -> None:
    (folder / "modules.yaml").write_text(text("perl", "5.30", 1))
    assert universe(folder).streams(["perl"]) == {"perl": ["5.30"]}
    (folder / "modules.yaml").write_text(text("perl", "5.30", 1) + text("perl", "5.32", 1))
    assert universe(folder).streams(["perl"]) == {"perl": ["5.30", "5.32"]}


@pytest.mark.skipif(not DATA.exists(), reason="the shared test data is not here")
def test_real_metadata_is_read(folder: Path) -> None:
    shutil.copy(DATA, folder / "modules.yaml")
    assert "5.26" in universe(folder).streams(["perl"])["perl"]


def test_a_document_is_expanded_against_the_machine_and_what_was_built_before(folder: Path) -> None:
    host = text("perl", "5.30", 1, requires="{helper: []}") + text("helper", "1", 1) + text("ruby", "3", 7)
    (folder / "modules.yaml").write_text(host)
    base = Available("platform", "f40", 1, "00000000")
    own = Available("ruby", "3", 1, "local", (), {"platform": "f40"})
    document = StreamV2(
        name="app",
        stream="1",
        version=1,
        dependencies=[Dependencies({"platform": ["f40"], "perl": ["5.30"], "ruby": ["3"]}, {})],
    )
    (build,) = expand(document, LayeredUniverse(MemoryUniverse([base, own]), universe(folder))).builds
    assert sorted(names(list(build.buildrequires.values()))) == [
        "helper:1:1:c0",
        "perl:5.30:1:c0",
        "platform:f40:1:00000000",
        "ruby:3:1:local",
    ]
