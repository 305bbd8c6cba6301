"""Reading git repositories."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mbs.errors import InvalidInput
from scm.errors import ScmError
from scm.git import Repository
from scm.options import MIB, ScmOptions
from scm.process import GitFailed
from tests.gitrepos import commit, git, make_repo, url
from tests.processes import ROOT
from tests.scm.servers import git_http, http_answers, silent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with two commits on master, the first of them tagged in both ways."""
    folder = tmp_path / "repos" / "foo"
    make_repo(folder, {"file": "one", "sub/file": "deep"})
    git(folder, "tag", "light")
    git(folder, "tag", "--annotate", "--message=x", "heavy")
    commit(folder, {"file": "two"}, when="2020-06-30T23:59:59+02:00")
    return folder


def _rev(folder: Path, name: str) -> str:
    return git(folder, "rev-parse", name)


@pytest.mark.parametrize("ref", ["master", "refs/heads/master", "HEAD"])
def test_resolves_a_branch(folder: Path, options: ScmOptions, ref: str) -> None:
    with Repository(url(folder), options) as repository:
        assert repository.resolve(ref) == _rev(folder, "master")


@pytest.mark.parametrize("ref", ["light", "heavy", "refs/tags/heavy"])
def test_resolves_a_tag_to_its_commit(folder: Path, options: ScmOptions, ref: str) -> None:
    with Repository(url(folder), options) as repository:
        assert repository.resolve(ref) == _rev(folder, "light")


@pytest.mark.parametrize("length", [40, 12, 7])
@pytest.mark.parametrize("revision", ["master", "master~1"])
def test_resolves_a_commit(folder: Path, options: ScmOptions, revision: str, length: int) -> None:
    full = _rev(folder, revision)
    with Repository(url(folder), options) as repository:
        assert repository.resolve(full[:length]) == full
        assert repository.snapshot(full).files


def test_a_branch_named_like_a_commit_does_not_hide_the_commit(folder: Path, options: ScmOptions) -> None:
    full = _rev(folder, "master~1")
    git(folder, "update-ref", f"refs/heads/{full}", "master")
    with Repository(url(folder), options) as repository:
        assert repository.resolve(full) == full


def test_reads_the_files_of_exactly_one_commit(folder: Path, options: ScmOptions) -> None:
    with Repository(url(folder), options) as repository:
        old = repository.snapshot(repository.resolve("light"))
        new = repository.snapshot(repository.resolve("master"))
        assert (old.read("file", 10), new.read("file", 10)) == (b"one", b"two")
        assert set(new.files) == {"file", "sub/file"}
        assert old.time == datetime(2018, 2, 5, 13, 51, 54, tzinfo=UTC)
        assert new.time == datetime(2020, 6, 30, 21, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "ref", ["f99", "0" * 40, "abcdef0", "-x", "--upload-pack=touch x", "a b", "*", "light~1"]
)
def test_an_unknown_ref_is_named(folder: Path, options: ScmOptions, ref: str) -> None:
    with Repository(url(folder), options) as repository, pytest.raises(ScmError) as caught:
        repository.resolve(ref)
    assert caught.value.code == "ref_unknown"
    assert repr(ref) in caught.value.message
    assert repository.url in caught.value.message
    assert caught.value.tried


def test_a_tag_of_something_else_is_no_commit(folder: Path, options: ScmOptions) -> None:
    git(folder, "tag", "blob", _rev(folder, "master:file"))
    with Repository(url(folder), options) as repository, pytest.raises(ScmError) as caught:
        repository.resolve("blob")
    assert caught.value.code == "ref_unknown"


def test_knows_what_is_on_a_branch(folder: Path, options: ScmOptions) -> None:
    git(folder, "branch", "old", "light")
    old, new = _rev(folder, "old"), _rev(folder, "master")
    with Repository(url(folder), options) as repository:
        assert repository.is_on_branch(repository.resolve(old), "master")
        assert repository.is_on_branch(repository.resolve(new), "master")
        assert not repository.is_on_branch(new, "old")
        with pytest.raises(ScmError) as caught:
            repository.is_on_branch(new, "none")
    assert caught.value.code == "ref_unknown"


def test_an_unreachable_repository_is_named(tmp_path: Path, options: ScmOptions) -> None:
    with Repository(url(tmp_path / "nothing"), options) as repository, pytest.raises(ScmError) as caught:
        repository.resolve("master")
    assert caught.value.code == "repository_unreachable"
    assert "nothing" in caught.value.message
    assert "ls-remote" in caught.value.tried


def test_a_url_that_is_none_never_reaches_git(options: ScmOptions) -> None:
    with pytest.raises(InvalidInput):
        Repository("--upload-pack=touch /tmp/x", options)


@pytest.mark.parametrize(
    "transport", ["ext::sh -c 'touch {}'", "git://127.0.0.1:1/x", "http://127.0.0.1:1/x"]
)
def test_git_itself_refuses_every_other_transport(
    folder: Path, tmp_path: Path, options: ScmOptions, transport: str
) -> None:
    with Repository(url(folder), options) as repository, pytest.raises(GitFailed, match="not allowed"):
        repository._git.run("ls-remote", "--", transport.format(tmp_path / "touched"))
    assert not (tmp_path / "touched").exists()


def test_environment_and_hooks_have_no_effect(
    folder: Path, tmp_path: Path, options: ScmOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    make_repo(other, {"file": "evil"})
    touch = tmp_path / "touch"
    touch.write_text(f"#!/bin/sh\ntouch {tmp_path}/touched\n")
    touch.chmod(0o755)
    for name, value in {
        "GIT_DIR": str(other / ".git"),
        "GIT_OBJECT_DIRECTORY": str(other / ".git/objects"),
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{url(other)}.insteadOf",
        "GIT_CONFIG_VALUE_0": url(folder),
        "GIT_CONFIG_KEY_1": "uploadpack.packObjectsHook",
        "GIT_CONFIG_VALUE_1": str(touch),
        "GIT_TRACE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(f'[uploadpack]\npackObjectsHook = "{touch}"\n')
    for hook in ("post-checkout", "pre-auto-gc", "reference-transaction", "post-index-change"):
        (folder / ".git/hooks").mkdir(exist_ok=True)
        os.link(touch, folder / ".git/hooks" / hook)
    with Repository(url(folder), options) as repository:
        snapshot = repository.snapshot(repository.resolve("master"))
        assert snapshot.read("file", 10) == b"two"
    assert not (tmp_path / "touched").exists()


def test_nothing_stays_on_disk(
    folder: Path, tmp_path: Path, options: ScmOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with Repository(url(folder), options) as repository:
        repository.snapshot(repository.resolve("master"))
        assert list((tmp_path / "temporary").iterdir())
        assert not list((tmp_path / "temporary").rglob("file"))
    assert not list((tmp_path / "temporary").iterdir())


def test_leftovers_of_a_killed_process_are_removed_but_not_folders_in_use(
    folder: Path, tmp_path: Path, options: ScmOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    code = "import os; from scm.folder import LockedFolder; f = LockedFolder(); os.kill(os.getpid(), 9)"
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"TMPDIR": str(place)}, check=False
    )
    (abandoned,) = place.iterdir()
    with Repository(url(folder), options):
        assert abandoned.exists()  # too young to be told from one that is about to be locked
        for path in place.iterdir():
            os.utime(path, (0, 0))
        with Repository(url(folder), options) as repository:
            assert not abandoned.exists()
            assert len(list(place.iterdir())) == 2
            assert repository.resolve("master")
    assert not list(place.iterdir())


def test_a_file_over_its_bound_is_refused(folder: Path, options: ScmOptions) -> None:
    commit(folder, {"big": b"x" * 100_000})
    with Repository(url(folder), options) as repository:
        snapshot = repository.snapshot(repository.resolve("master"))
        assert len(snapshot.read("big", 100_000)) == 100_000
        with pytest.raises(ScmError) as caught:
            snapshot.read("big", 99_999)
    assert caught.value.code == "file_too_large"


def test_symbolic_links_are_followed_inside_the_commit_only(folder: Path, options: ScmOptions) -> None:
    (folder / "good").symlink_to("sub/link")
    (folder / "sub/link").symlink_to("../file")
    (folder / "host").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("../../../../etc/passwd")
    (folder / "loop").symlink_to("loop")
    commit(folder, {})
    with Repository(url(folder), options) as repository:
        snapshot = repository.snapshot(repository.resolve("master"))
        assert snapshot.read("good", 10) == b"two"
        for path in ("host", "up", "loop", "none"):
            with pytest.raises(ScmError) as caught:
                snapshot.read(path, 10000)
            assert caught.value.code == "file_unknown"


def test_a_repository_over_its_bound_is_refused(folder: Path, options: ScmOptions) -> None:
    commit(folder, {"big": os.urandom(2 * MIB)})
    with Repository(url(folder), replace(options, max_pack=MIB)) as repository:
        with pytest.raises(ScmError) as caught:
            repository.resolve("master")
        assert caught.value.code == "repository_too_large"


def test_a_commit_with_more_files_than_the_bound_is_refused(folder: Path, options: ScmOptions) -> None:
    with Repository(url(folder), replace(options, max_listing=100)) as repository:
        head = repository.resolve("master")
        with pytest.raises(ScmError) as caught:
            repository.snapshot(head)
    assert caught.value.code == "repository_too_large"


def test_a_commit_from_the_far_future_is_refused(folder: Path, options: ScmOptions) -> None:
    person = "Tester <tester@example.org> 99999999999999 +0000"
    raw = folder.parent / "raw"
    raw.write_text(f"tree {_rev(folder, 'master^{tree}')}\nauthor {person}\ncommitter {person}\n\nx\n")
    future = git(folder, "hash-object", "-t", "commit", "-w", str(raw))
    git(folder, "update-ref", "refs/heads/future", future)
    with Repository(url(folder), options) as repository, pytest.raises(ScmError) as caught:
        repository.snapshot(repository.resolve("future"))
    assert caught.value.code == "commit_date_invalid"


def test_no_time_left_is_a_fault_like_any_other(folder: Path, options: ScmOptions) -> None:
    with pytest.raises(ScmError) as caught:
        Repository(url(folder), replace(options, timeout=0.0001))
    assert caught.value.code == "repository_too_slow"


def test_a_server_that_never_answers_is_left(options: ScmOptions) -> None:
    with (
        silent() as port,
        Repository(f"git://127.0.0.1:{port}/foo", replace(options, timeout=1)) as repository,
        pytest.raises(ScmError) as caught,
    ):
        repository.resolve("master")
    assert caught.value.code == "repository_too_slow"
    assert "1 seconds" in caught.value.message
    assert not _processes_about(f":{port}/")


def test_a_git_with_endless_output_is_stopped(
    folder: Path, tmp_path: Path, options: ScmOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("""#!/bin/sh\ncase "$*" in *ls-remote*) yes 'remote: wait' >&2;; esac\n""")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with (
        Repository(url(folder), replace(options, timeout=2)) as repository,
        pytest.raises(ScmError) as caught,
    ):
        repository.resolve("master")
    assert caught.value.code == "repository_too_slow"


def _processes_about(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode("utf-8", "replace"))
        except OSError:
            continue
    return [command for command in found if text in command]


def test_reads_over_http_whatever_refs_name_and_older_commits_too(folder: Path, options: ScmOptions) -> None:
    with git_http(folder.parent) as root:
        for ref in ("master", "heavy", _rev(folder, "master~1"), _rev(folder, "master~1")[:9]):
            with Repository(f"{root}/foo/.git", options) as repository:
                snapshot = repository.snapshot(repository.resolve(ref))
                assert snapshot.commit == _rev(folder, f"{ref}^{{commit}}")
                assert snapshot.read("sub/file", 10) == b"deep"
        with Repository(f"{root}/foo/.git", options) as repository, pytest.raises(ScmError) as caught:
            repository.resolve("0" * 40)
        assert caught.value.code == "ref_unknown"


def test_redirects_are_not_followed(folder: Path, options: ScmOptions) -> None:
    with (
        git_http(folder.parent) as root,
        http_answers({"*": f"{root}/foo/.git"}) as (redirecting, asked),
        Repository(f"{redirecting}/foo", options) as repository,
        pytest.raises(ScmError) as caught,
    ):
        repository.resolve("master")
    assert caught.value.code == "repository_unreachable"
    assert asked


def test_a_login_is_never_asked_for(
    options: ScmOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    touch = tmp_path / "askpass"
    touch.write_text(f"#!/bin/sh\ntouch {tmp_path}/touched\n")
    touch.chmod(0o755)
    monkeypatch.setenv("GIT_ASKPASS", str(touch))
    monkeypatch.setenv("SSH_ASKPASS", str(touch))
    with (
        http_answers({"*": 401}) as (root, _),
        Repository(f"{root}/foo", options) as repository,
        pytest.raises(ScmError) as caught,
    ):
        repository.resolve("master")
    assert caught.value.code == "repository_unreachable"
    assert not (tmp_path / "touched").exists()


def test_a_network_fault_is_met_twice_before_it_counts(options: ScmOptions) -> None:
    with http_answers({"*": 503}) as (root, asked):
        with (
            Repository(f"{root}/foo", replace(options, attempts=2)) as repository,
            pytest.raises(ScmError),
        ):
            repository.resolve("master")
        assert len(asked) == 2
