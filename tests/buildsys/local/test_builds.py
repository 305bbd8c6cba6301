"""Real builds with rpmbuild: batches, sources from git, refusals, limits."""

from __future__ import annotations

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from buildsys.base import TaskState
from buildsys.local.rpmfile import read_package
from buildsys.local.sandbox import Limits
from tests.buildsys.packages import DISTTAG, Bench, module, spec
from tests.gitrepos import git, make_repo


def label(rpm: Path) -> str:
    query = ["rpm", "-qp", "--nosignature", "--qf", "%{MODULARITYLABEL}", str(rpm)]
    return subprocess.run(query, check=True, capture_output=True, text=True).stdout


def test_later_batches_see_what_earlier_ones_built(bench: Bench) -> None:
    bench.complete(bench.macros(), final=False)
    tool = spec("one", files={"/usr/bin/shout": "echo LOUD %{colour}"})
    assert bench.complete(bench.job(2, "one", tool)) == f"one-1-1.{DISTTAG}"

    user = spec(
        "two", head="BuildRequires: one = 1, /usr/bin/shout", build="sh /usr/bin/shout > said; cat said"
    )
    status = bench.build(bench.job(3, "two", user))

    assert status.state is TaskState.COMPLETE
    assert "\nLOUD blue\n" in bench.log(status.task_id)
    assert status.url == f"http://mbs.example.org/results/tasks/{status.task_id}/build.log"
    rpms = bench.rpms(status.task_id)
    assert [path.name for path in rpms] == [f"two-1-1.{DISTTAG}.{arch}.rpm" for arch in ("noarch", "src")]
    assert {label(path) for path in rpms} == {"tiny:1:92026:c0ffee12"}


def test_a_package_of_the_same_batch_is_not_seen(bench: Bench) -> None:
    bench.build(bench.job(2, "one", spec("one")))
    status = bench.build(bench.job(3, "two", spec("two", head="BuildRequires: one")))
    assert status.state is TaskState.FAILED
    assert "not met: one." in status.reason


def test_packages_of_a_buildrequired_module_are_seen(bench: Bench) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    bench.system.finalize(bench.module, {"one": nvr})
    other = Bench(
        bench.root,
        module=module(tag="module-other-1-1-1", buildrequires={"tiny": {"koji_tag": bench.module.tag}}),
    )
    status = other.build(
        other.job(20, "two", spec("two", head="BuildRequires: one", build="ls /usr/share/one"))
    )
    assert status.state is TaskState.COMPLETE, status.reason


def test_packages_in_conflict_with_the_macros_package_are_not_in_the_view(bench: Bench) -> None:
    text = bench.macros().spec.replace("BuildArch:", f"Conflicts: one = 0:1-1.{DISTTAG}\nBuildArch:")
    bench.complete(bench.job(1, "module-build-macros", text), final=False)
    bench.complete(bench.job(2, "one", spec("one")))
    status = bench.build(bench.job(3, "two", spec("two", head="BuildRequires: one")))
    assert "not met: one." in status.reason


def test_the_tree_of_the_exact_commit_is_built(bench: Bench, tmp_path: Path) -> None:
    text = spec("one", build="cat %{SOURCE0}").replace("License:", "Source0: words.txt\nLicense:")
    repository = tmp_path / "one"
    commit = make_repo(repository, {"one.spec": text, "words.txt": "the first\n"})
    (repository / "words.txt").write_text("never committed\n")
    status = bench.build(bench.job(2, "one", source=f"{repository.as_uri()}#{commit}"))
    assert status.state is TaskState.COMPLETE, status.reason
    assert "\nthe first\n" in bench.log(status.task_id)


def test_the_layout_with_specs_and_sources_folders_is_built(bench: Bench, tmp_path: Path) -> None:
    text = spec("one", build="cat %{SOURCE0}").replace("License:", "Source0: words.txt\nLicense:")
    commit = make_repo(tmp_path / "one", {"SPECS/one.spec": text, "SOURCES/words.txt": "deep\n"})
    status = bench.build(bench.job(2, "one", source=f"{(tmp_path / 'one').as_uri()}#{commit}"))
    assert status.state is TaskState.COMPLETE, status.reason
    assert "\ndeep\n" in bench.log(status.task_id)


def test_links_of_a_repository_lead_nowhere(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOP SECRET\n")
    repository = tmp_path / "one"
    make_repo(repository, {"one.spec": spec("one", build="cat /builddir/*/leak; cat %{_sourcedir}/leak")})
    (repository / "leak").symlink_to(secret)
    git(repository, "add", "leak")
    git(repository, "commit", "--quiet", "--message=leak")
    commit = git(repository, "rev-parse", "HEAD")
    status = bench.build(bench.job(2, "one", source=f"{repository.as_uri()}#{commit}"))
    assert "TOP SECRET" not in bench.log(status.task_id)
    assert secret.read_text() == "TOP SECRET\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (spec("other"), "the package other, but the component is one"),
        (spec("one", head="BuildRequires: gcc >= 999, no-such-thing, make"), "gcc >= 999, no-such-thing"),
        (spec("one", build="exit 3"), "Bad exit status"),
        (spec("one", files={}).replace("%files", ""), "no binary RPM"),
        ("Name: one\nnonsense", "source RPM"),
        (spec("one", head="%global _rpmfilename ../../../%%{NAME}.rpm"), "Read-only file system"),
        (spec("one", head="%global _rpmfilename ../%%{NAME}.rpm"), "no binary RPM"),
    ],
)
def test_a_failed_build_gives_the_reason(bench: Bench, text: str, said: str) -> None:
    status = bench.build(bench.job(2, "one", text))
    assert status.state is TaskState.FAILED
    assert said in status.reason
    assert not (bench.root / "tasks" / str(status.task_id) / "work").exists()


def test_two_components_cannot_build_the_same_nvr(bench: Bench) -> None:
    bench.build(bench.job(2, "one", spec("one")))
    status = bench.build(bench.job(3, "one", spec("one")))
    assert status.state is TaskState.FAILED
    assert "was already built" in status.reason


def test_too_many_requirements_are_refused(bench: Bench) -> None:
    head = "\n".join(f"BuildRequires: r{number}" for number in range(10_001))
    status = bench.build(bench.job(2, "one", spec("one", head=head)))
    assert status.state is TaskState.FAILED
    assert "more than 10000 requirements" in status.reason


def test_builds_that_need_a_new_view_at_the_same_moment_share_it(bench: Bench) -> None:
    bench.complete(bench.job(2, "one", spec("one")))
    needs_it = [bench.job(n, f"p{n}", spec(f"p{n}", head="BuildRequires: one")) for n in range(3, 7)]
    numbers = [bench.submit(job) for job in needs_it]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(bench.system.run, numbers)) == [job.wake_key for job in needs_it]
    assert {status.state for status in bench.system.statuses(numbers)} == {TaskState.COMPLETE}
    views = [
        path for path in (bench.root / "modules" / bench.module.tag / "views").iterdir() if path.is_dir()
    ]
    assert len(views) == 1


def test_an_unknown_commit_fails_with_what_was_tried(bench: Bench, tmp_path: Path) -> None:
    make_repo(tmp_path / "one", {"one.spec": spec("one")})
    status = bench.build(bench.job(2, "one", source=f"{(tmp_path / 'one').as_uri()}#{'0' * 40}"))
    assert status.state is TaskState.FAILED
    assert "0" * 40 in status.reason


def test_a_source_that_is_in_no_cache_fails(bench: Bench, tmp_path: Path) -> None:
    files = {"one.spec": spec("one"), "sources": f"SHA512 (one-1.tar.gz) = {'a' * 128}\n"}
    commit = make_repo(tmp_path / "one", files)
    status = bench.build(bench.job(2, "one", source=f"{(tmp_path / 'one').as_uri()}#{commit}"))
    assert status.state is TaskState.FAILED
    assert "one-1.tar.gz" in status.reason
    assert "lookaside" in status.reason


def test_a_build_is_stopped_at_its_time_limit(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Limits(seconds=2))
    status = bench.build(bench.job(2, "one", spec("one", build="sleep 100")))
    assert status.state is TaskState.FAILED
    assert "limit of 2 seconds" in status.reason
    assert status.ended is not None
    assert status.started is not None
    assert status.ended - status.started < 10


def test_a_log_over_its_bound_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Limits(seconds=60, log_bytes=10_000))
    flood = "set +x\necho BEGIN\nhead -c 3000000 /dev/zero | tr '\\0' x\necho; echo THE END; exit 1"
    status = bench.build(bench.job(2, "one", spec("one", build=flood)))
    log = bench.log(status.task_id)
    assert len(log) < 200_000
    assert "BEGIN" in log
    assert "bytes left out here" in log
    assert "THE END" in log


def test_a_full_disk_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "short_of", lambda limits, folder, share=1: "inodes" if share < 1 else "")
    bench = Bench(tmp_path, Limits(seconds=60))
    status = bench.build(bench.job(2, "one", spec("one", build="sleep 100")))
    assert status.state is TaskState.FAILED
    assert "the builder ran out of inodes" in status.reason


@pytest.mark.parametrize(
    ("limits", "scarce"), [({"free_bytes": 1 << 60}, "disk space"), ({"free_files": 1 << 60}, "inodes")]
)
def test_without_its_reserve_of_disk_no_build_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], scarce: str
) -> None:
    monkeypatch.setattr("buildsys.local.system.SPACE_POLL", 0.01)
    bench = Bench(tmp_path, Limits(seconds=60, **limits))
    number = bench.submit(bench.job(2, "one", spec("one")))
    builder = threading.Thread(target=bench.system.run, args=(number,))
    builder.start()
    log = tmp_path / "tasks" / str(number) / "build.log"
    ends = time.monotonic() + 20
    while not (log.exists() and f"waits until the builder has enough {scarce}" in log.read_text()):
        assert time.monotonic() < ends
        time.sleep(0.01)
    status = bench.system.statuses([number])[0]
    assert (status.state, status.started) == (TaskState.OPEN, None)
    bench.system.cancel([number])
    builder.join(20)
    assert bench.system.statuses([number])[0].state is TaskState.CANCELED
    assert bench.log(number).count("waits") == 1


def test_results_have_the_metadata_of_their_rpm_headers(bench: Bench) -> None:
    bench.complete(bench.macros(), final=False)
    status = bench.build(bench.job(2, "one", spec("one", head="Epoch: 3\nConflicts: old < 2")))
    noarch, source = (read_package(path) for path in bench.rpms(status.task_id))
    assert (noarch.epoch, noarch.arch, noarch.sourcerpm) == (3, "noarch", source.filename)
    assert [str(conflict) for conflict in noarch.conflicts] == ["old < 2"]
    assert "/usr/share/one/name" in noarch.files
