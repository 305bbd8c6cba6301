"""Hostile build requirements: many, nested, or about files that builds may not see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buildsys.base import BuildSystemError, TaskState
from buildsys.local import host, rootfs
from buildsys.local.hostpackage import make_host_repository
from buildsys.local.requirements import missing
from buildsys.local.rpmfile import Dependency
from buildsys.local.sandbox import Sandbox
from tests.buildsys.packages import Bench, spec
from tests.hostile.rpms import package

HERE = Path(__file__).resolve().parents[2]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The command lines of all processes that this one starts."""
    found: list[list[str]] = []
    start = subprocess.Popen.__init__

    def noted(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        found.append([str(each) for each in ([args] if isinstance(args, str) else args)])
        start(self, args, *rest, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    return found


def kinds(number: int) -> list[Dependency]:
    """Requirements of every kind that the host is asked about."""
    return [
        Dependency(name)
        for each in range(number)
        for name in (
            f"name-{each}-devel",
            f"pkgconfig(module{each})",
            f"libno{each}.so.1()(64bit)",
            f"/usr/no/{each}",
        )
    ]


def test_the_host_is_asked_for_all_names_together(started: list[list[str]]) -> None:
    needs = kinds(500)
    assert missing(needs, []) == [str(need) for need in needs]
    assert len(started) < 10, started
    assert max(len(" ".join(argv)) for argv in started) < 1000, "no name of a stranger is in a command line"


def test_ten_thousand_requirements_are_judged(started: list[list[str]]) -> None:
    many = [Dependency(f"r{number}", ">=", "1") for number in range(9_999)]
    assert missing([*many, Dependency("/bin/sh")], []) == [str(need) for need in many]
    assert len(started) < 10


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/root", "/usr/../etc/passwd", "/usr/bin/../../etc/passwd", "/"]
)
def test_files_that_builds_do_not_see_are_never_provided(path: str) -> None:
    assert Path(path).exists()
    assert host.provides([path]) == {path: ()}


def test_links_do_not_show_whether_other_files_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's /usr/lib/ssl/private is a link to a folder that builds do not see."""
    (tmp_path / "usr").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").touch()
    (tmp_path / "usr" / "tool").touch()
    (tmp_path / "usr" / "private").symlink_to("../private")
    (tmp_path / "usr" / "link").symlink_to("tool")
    shown = str(tmp_path / "usr").lstrip("/")
    monkeypatch.setattr(rootfs, "SHOWN", (shown,))
    monkeypatch.setattr(host, "_SHOWN", (f"/{shown}/",))
    asked = [f"/{shown}/{name}" for name in ("tool", "link", "private/key", "private/nothing")]
    assert [bool(found) for found in host.provides(asked).values()] == [True, True, False, False]


def test_commands_that_builds_do_not_see_are_never_provided(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mbs-hostile-command").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert host.provides(["mbs-hostile-command"]) == {"mbs-hostile-command": ()}


def test_a_path_is_no_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "secret").touch(0o755)
    monkeypatch.chdir(tmp_path)
    assert host.provides(["sub/secret", "./sub/secret"]) == {"sub/secret": (), "./sub/secret": ()}


@pytest.mark.parametrize(
    "program",
    [
        'missing([D("(a or " * 330 + "b" + ")" * 330)], [])',
        'missing([D("a")], [P(provides=(D("(a or " * 100_000 + "b" + ")" * 100_000), D("(" * 1_000_000)))])',
        'missing([D("(" * 1_000_000), D("(a if " * 300)], [])',
    ],
    ids=["requirement", "what a package provides", "unbalanced"],
)
def test_nested_rich_dependencies_do_not_crash_the_service(program: str) -> None:
    setup = (
        "from buildsys.local.requirements import missing\n"
        "from buildsys.local.rpmfile import Dependency as D\n"
        "from tests.hostile.rpms import package as P\n"
    )
    # In a process of its own: what is tested for is that it does not crash.
    done = subprocess.run(
        [sys.executable, "-c", f"{setup}print(len({program}))"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= 1


def test_too_many_rich_dependencies_fail_the_component(bench: Bench) -> None:
    head = "\n".join(f"BuildRequires: (a{number} or b{number})" for number in range(501))
    status = bench.build(bench.job(2, "one", spec("one", head=head)))
    assert status.state is TaskState.FAILED
    assert "more than 500 rich dependencies" in status.reason


def test_a_reason_names_some_of_many_requirements(bench: Bench) -> None:
    head = "\n".join(f"BuildRequires: {'r' * 500}{number}" for number in range(100))
    status = bench.build(bench.job(2, "one", spec("one", head=head)))
    assert "and 80 more" in status.reason
    assert len(status.reason) <= 5000


def test_requirements_on_the_host_are_bounded(bench: Bench) -> None:
    folder = bench.root / "host"
    folder.mkdir()
    sandbox = Sandbox(folder / "work", folder / "root", limits=bench.limits)
    packages = [package(*[Dependency("rpmbuild", "=", str(n)) for n in range(20_001)])]
    with pytest.raises(BuildSystemError) as caught:
        make_host_repository(folder, "m", lambda: packages, bench.root / "scratch", sandbox)
    assert caught.value.code == "host_package_failed"


def test_tools_that_read_packages_run_in_the_sandbox_only(bench: Bench, started: list[list[str]]) -> None:
    """A whole module, with two batches: nothing but git, host tools and our own programs is started."""
    bench.complete(bench.macros(), final=False)
    nvr = bench.complete(bench.job(2, "one", spec("one", head="Requires: /bin/sh")))
    user = bench.complete(bench.job(3, "two", spec("two", head="BuildRequires: one")))
    bench.system.finalize(bench.module, {"one": nvr, "two": user})
    ours = {Path(sys.executable).name, "dpkg-query", "ldconfig", "elfdeps", "pkg-config", "pkgconf"}
    ours |= {"newuidmap", "newgidmap"}  # give an ordinary user's builds the ids that root has granted
    assert {Path(argv[0]).name for argv in started} <= ours


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "local")
