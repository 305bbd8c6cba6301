"""Build requirements: earlier batches, the host, versions, rich dependencies, hostile names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildsys.local import host
from buildsys.local.requirements import conflicting, missing
from buildsys.local.rpmfile import BadPackage, Dependency, Package, read_package
from tests.buildsys.packages import Bench, spec


def package(name: str, version: str, *provides: Dependency) -> Package:
    own = Dependency(name, "=", f"{version}-1")
    return Package(
        name=name,
        epoch=0,
        version=version,
        release="1",
        arch="x86_64",
        license="MIT",
        sourcerpm=f"{name}-{version}-1.src.rpm",
        modularitylabel="",
        provides=(own, *provides),
        requires=(),
        conflicts=(),
        files=(f"/usr/include/{name}.h",),
        excludearch=(),
        exclusivearch=(),
    )


EARLIER = [package("greet-devel", "1.10", Dependency("pkgconfig(greet)", "=", "1.10"))]


@pytest.mark.parametrize(
    "need",
    [
        Dependency("greet-devel"),
        Dependency("greet-devel", ">", "1.9"),
        Dependency("greet-devel", "=", "1.10-1"),
        Dependency("pkgconfig(greet)", ">=", "1.2"),
        Dependency("/usr/include/greet-devel.h"),
        Dependency("/bin/sh"),
        Dependency("make"),
        Dependency("gcc", ">=", "4"),
        Dependency("rpmbuild", ">=", "4"),
        Dependency("(absent or gcc)"),
        Dependency("(absent if not-installed)"),
        Dependency("(greet-devel >= 1 and make)"),
    ],
    ids=str,
)
def test_met(need: Dependency) -> None:
    assert missing([need], EARLIER) == []


@pytest.mark.parametrize(
    "need",
    [
        Dependency("greet-devel", ">", "1.10"),
        Dependency("greet-devel", "<", "1.2"),
        Dependency("pkgconfig(greet)", "=", "2"),
        Dependency("pkgconfig(no-such-module)"),
        Dependency("/usr/bin/no-such-file"),
        Dependency("gcc", ">=", "999"),
        Dependency("no-such-package-devel"),
        Dependency("(absent if greet-devel)"),
        Dependency("(absent and make)"),
        Dependency("(("),
        Dependency("--help"),
        Dependency("$(touch /tmp/mbs-pwned)"),
        Dependency("a" * 10_000),
        Dependency("(" * 1_000_000),
        Dependency("no\nnewline"),
        Dependency(""),
    ],
    ids=lambda need: str(need)[:40],
)
def test_not_met_and_named_as_written(need: Dependency) -> None:
    assert missing([Dependency("make"), need, need], EARLIER) == [str(need)]
    assert not Path("/tmp/mbs-pwned").exists()


def test_an_earlier_batch_without_the_package_does_not_meet_it() -> None:
    assert missing([Dependency("greet-devel")], []) == ["greet-devel"]


def test_conflicts_with_an_earlier_batch_are_found() -> None:
    conflicts = [
        Dependency("greet-devel", "<", "2"),
        Dependency("greet-devel", "<", "1"),
        Dependency("other"),
    ]
    assert conflicting(conflicts, EARLIER) == ["greet-devel < 2"]


def test_the_host_lists_all_symbol_versions_of_a_library() -> None:
    found = host.provides(["libc.so.6()(64bit)", "libnosuch.so.1()(64bit)"])
    names = {provide.name for provide in found["libc.so.6()(64bit)"]}
    assert {"libc.so.6()(64bit)", "libc.so.6(GLIBC_2.17)(64bit)"} <= names
    assert found["libnosuch.so.1()(64bit)"] == ()


@pytest.mark.parametrize(("dpkg", "rpm"), [("", True), ("Package: dpkg\n", False)])
def test_an_rpm_database_beside_packages_of_dpkg_is_not_that_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dpkg: str, rpm: bool
) -> None:
    (tmp_path / "rpmdb.sqlite").touch()
    (tmp_path / "status").write_text(dpkg)
    monkeypatch.setattr(host, "_DATABASES", (str(tmp_path),))
    monkeypatch.setattr(host, "_DPKG", str(tmp_path / "status"))
    assert host.has_rpm_database() is rpm


def test_on_a_host_with_an_rpm_database_that_database_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.build(bench.job(2, "one", spec("one", head="Provides: pkgconfig(one) = 5"))).task_id
    home = bench.root / "home"
    home.mkdir()
    (home / ".rpmmacros").write_text(f"%_dbpath {home}/db\n")
    monkeypatch.setenv("HOME", str(home))
    install = ["rpm", "--install", "--justdb", "--nodeps", "--noscripts", str(bench.rpms(number)[0])]
    subprocess.run(install, check=True, capture_output=True)
    monkeypatch.setattr(host, "has_rpm_database", lambda: True)

    met = [Dependency("one", "=", "1"), Dependency("pkgconfig(one)", ">", "4.9"), Dependency("/bin/sh")]
    unmet = [Dependency("one", ">", "1"), Dependency("make"), Dependency("--eval")]
    assert missing(met + unmet, []) == [str(need) for need in unmet]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an rpm",
        b"\xed\xab\xee\xdb" + b"\0" * 92,
        b"\xed\xab\xee\xdb" + b"\0" * 92 + b"\x8e\xad\xe8\x01" * 9,
    ],
    ids=["empty", "text", "lead only", "damaged header"],
)
def test_a_file_that_is_no_rpm_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.rpm"
    path.write_bytes(content)
    with pytest.raises(BadPackage, match=r"bad\.rpm"):
        read_package(path)


def test_a_link_is_no_rpm(tmp_path: Path) -> None:
    (tmp_path / "link.rpm").symlink_to("/etc/passwd")
    with pytest.raises(BadPackage):
        read_package(tmp_path / "link.rpm")
