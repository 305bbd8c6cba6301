"""Hostile RPM files fail their own component only, and reading them takes bounded memory."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from buildsys.base import TaskState
from buildsys.local.rpmfile import BadPackage, read_package
from tests.buildsys.packages import DISTTAG, Bench, spec
from tests.hostile import rpms
from tests.hostile.rpms import leaving, mutants, rpm

MIB = 1 << 20


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "local")


def used() -> int:
    """Most memory that this process has ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write(folder: Path, content: bytes) -> Path:
    path = folder / "left.rpm"
    path.write_bytes(content)
    return path


def test_a_plain_crafted_package_is_read(tmp_path: Path) -> None:
    package = read_package(
        write(tmp_path, rpm({rpms.DIRNAMES: ["/a/"], rpms.BASENAMES: ["b"], rpms.DIRINDEXES: [0]}))
    )
    assert (package.nvr, package.files) == (f"one-1-1.{DISTTAG}", ("/a/b",))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {rpms.PROVIDE_NAMES: bytes(4 * MIB), rpms.PROVIDE_FLAGS: [0], rpms.PROVIDE_VERSIONS: [""]},
            "more than 50000",
        ),
        (
            {rpms.REQUIRE_NAMES: bytes(4 * MIB), rpms.REQUIRE_FLAGS: [0], rpms.REQUIRE_VERSIONS: [""]},
            "more than 10000",
        ),
        (
            {rpms.DIRNAMES: bytes(4 * MIB), rpms.BASENAMES: ["a"], rpms.DIRINDEXES: [0]},
            "more than 100000 folders",
        ),
        (
            {rpms.DIRNAMES: ["/" * MIB], rpms.BASENAMES: bytes(100_000), rpms.DIRINDEXES: [0] * 100_000},
            "longer than",
        ),
        (
            {rpms.DIRNAMES: ["/"], rpms.BASENAMES: bytes(300_000), rpms.DIRINDEXES: [0] * 300_000},
            "more than 200000",
        ),
        ({rpms.DIRNAMES: ["/"], rpms.BASENAMES: ["a"], rpms.DIRINDEXES: [7]}, "in no folder"),
        (
            {rpms.REQUIRE_NAMES: ["(" * MIB], rpms.REQUIRE_FLAGS: [0], rpms.REQUIRE_VERSIONS: [""]},
            "over 2000",
        ),
        (
            {rpms.REQUIRE_NAMES: ["a\nb"], rpms.REQUIRE_FLAGS: [0], rpms.REQUIRE_VERSIONS: [""]},
            "not printable",
        ),
        ({rpms.NAME: "n" * MIB}, "name is longer"),
        ({rpms.NAME: "n" * 200, rpms.VERSION: "1" * 200}, "file name would be longer"),
        ({rpms.NAME: "../one"}, "is not a valid name"),
        ({rpms.NAME: ".one"}, "is not a valid name"),
        ({rpms.VERSION: "1-1"}, "hyphen"),
        ({rpms.LICENSE: "MIT\x1b[2J"}, "license"),
        ({rpms.LICENSE: "M" * MIB}, "license"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_header_that_is_too_much_is_refused(
    tmp_path: Path, values: dict[int, rpms.Value], said: str
) -> None:
    path = write(tmp_path, rpm(values))
    before = used()
    with pytest.raises(BadPackage, match=said):
        read_package(path)
    assert used() - before < 64 * MIB


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({rpms.NAME: ["one", "victim"]}, "name is not a single text"),
        ({rpms.LABEL: ["mod:1:1:c"]}, "modularity label is not a single text"),
        ({rpms.SOURCERPM: ""}, "source RPM is longer"),
        ({rpms.SOURCEPACKAGE: [1]}, "both a source and a binary package"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_header_that_other_programs_read_otherwise_is_refused(
    tmp_path: Path, values: dict[int, rpms.Value], said: str
) -> None:
    with pytest.raises(BadPackage, match=said):
        read_package(write(tmp_path, rpm(values)))


@pytest.mark.parametrize("tag", [rpms.NAME, rpms.RELEASE, rpms.SOURCERPM, rpms.LABEL, rpms.PROVIDE_NAMES])
def test_a_tag_that_occurs_twice_is_refused(tmp_path: Path, tag: int) -> None:
    """rpm and dnf would take the other value, and with it another name, dist tag or label."""
    content = rpm({9999: "x", tag: "victim"}).replace((9999).to_bytes(4, "big"), tag.to_bytes(4, "big"))
    with pytest.raises(BadPackage, match="a tag twice"):
        read_package(write(tmp_path, content))


def test_a_header_of_many_mebibytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPackage, match="larger than 32 MiB"):
        read_package(write(tmp_path, rpm({9999: bytes(40 * MIB)})))


def test_metadata_of_all_packages_of_a_component_together_is_bounded(bench: Bench) -> None:
    paths = bytes(150_000)
    files: dict[int, rpms.Value] = {
        rpms.DIRNAMES: ["/"],
        rpms.BASENAMES: paths,
        rpms.DIRINDEXES: [0] * 150_000,
    }
    leave = "".join(
        leaving(rpm({rpms.NAME: f"one-{number}", **files}), f"{number}.rpm") for number in range(3)
    )
    status = bench.build(bench.job(2, "one", spec("one", build=leave)))
    assert status.state is TaskState.FAILED
    assert "too many dependencies and files together" in status.reason


def test_mutants_are_read_or_refused(bench: Bench, tmp_path: Path) -> None:
    number = bench.build(
        bench.job(2, "one", spec("one", head="Requires: make >= 1\nProvides: x = 1"))
    ).task_id
    outcomes = set()
    for mutant in mutants(bench.rpms(number)[0].read_bytes(), 60):
        try:
            outcomes.add(read_package(write(tmp_path, mutant)).nvr != "")
        except BadPackage as error:
            outcomes.add("left.rpm" in error.message)
    assert outcomes == {True}


def test_a_package_that_createrepo_cannot_read_fails_its_component(bench: Bench) -> None:
    # The summary is of a type that rpm does not know: librpm refuses the header, our reader passes over it.
    content = rpm({1004: "s"})
    summary_type = (1004).to_bytes(4) + rpms.STRING.to_bytes(4)
    broken = content.replace(summary_type, (1004).to_bytes(4) + (77).to_bytes(4), 1)
    assert broken != content
    status = bench.build(
        bench.job(2, "one", spec("one", build=leaving(broken), files={}).replace("%files", ""))
    )
    assert status.state is TaskState.FAILED
    assert "createrepo_c" in status.reason
    assert bench.build(bench.job(3, "two", spec("two"))).state is TaskState.COMPLETE


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("truncate -s 5G /builddir/rpms/a.rpm /builddir/rpms/b.rpm", "are allowed"),
        ("truncate -s 1G /builddir/rpms/a.rpm", "sparse"),
        ("cd /builddir/rpms; seq 10001 | sed 's/$/.rpm/' | xargs touch", "are allowed"),
        (
            "mkdir -p /builddir/rpms/1/2/3/4/5/6/7/8/9/10/11; touch /builddir/rpms/1/2/3/4/5/6/7/8/9/10/11/a",
            "deep",
        ),
        ("ln -s /etc/passwd /builddir/rpms/a.rpm; mkfifo /builddir/rpms/b.rpm; false", "Bad exit status"),
    ],
    ids=["large files", "sparse files", "many files", "deep folders", "links and pipes"],
)
def test_files_beside_the_packages_of_a_build_are_bounded(bench: Bench, script: str, said: str) -> None:
    status = bench.build(bench.job(2, "one", spec("one", build=script)))
    assert status.state is TaskState.FAILED
    assert said in status.reason


def test_links_and_pipes_among_the_packages_are_passed_over(bench: Bench) -> None:
    script = "ln -s /etc/passwd /builddir/rpms/a.rpm; mkfifo /builddir/rpms/b.rpm; mkdir /builddir/rpms/c.rpm"
    status = bench.build(bench.job(2, "one", spec("one", build=script)))
    assert status.state is TaskState.COMPLETE, status.reason
    assert [path.name for path in bench.rpms(status.task_id)] == [
        f"one-1-1.{DISTTAG}.noarch.rpm",
        f"one-1-1.{DISTTAG}.src.rpm",
    ]


def test_no_result_keeps_set_uid_bits(bench: Bench) -> None:
    script = "chmod 4755 /builddir/rpms/left.rpm"
    status = bench.build(
        bench.job(2, "one", spec("one", build=leaving(rpm({rpms.NAME: "one-left"})) + script))
    )
    # Whether librpm takes the crafted file or not: no result keeps the bit.
    folder = bench.root / "tasks" / str(status.task_id)
    assert all(path.stat().st_mode & 0o7000 == 0 for path in folder.rglob("*") if path.is_file())


def test_a_reason_that_quotes_the_build_is_short_and_printable(bench: Bench) -> None:
    script = (
        "set +x; printf 'error: \\033[2J\\000\\377 said\\n'; "
        "head -c 9000 /dev/zero | tr '\\0' x | sed 's/^/error: /'; echo; exit 1"
    )
    status = bench.build(bench.job(2, "one", spec("one", build=script)))
    assert status.state is TaskState.FAILED
    assert status.reason.isprintable()
    assert len(status.reason) <= 4096
