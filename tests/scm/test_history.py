"""The subjects of the commits between two commits."""

from __future__ import annotations

from pathlib import Path

import pytest

from scm import history
from scm.errors import ScmError
from scm.history import subjects
from scm.options import ScmOptions
from tests.gitrepos import commit, git, make_repo, url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with five commits."""
    make_repo(tmp_path / "foo", {"file": "0"})
    for number in range(1, 5):
        commit(tmp_path / "foo", {"file": str(number)}, f"Commit {number}")
    return tmp_path / "foo"


def _rev(folder: Path, name: str) -> str:
    return git(folder, "rev-parse", name)


def test_the_commits_after_the_old_one_are_listed_newest_first(folder: Path, options: ScmOptions) -> None:
    found = subjects(url(folder), _rev(folder, "HEAD~2"), _rev(folder, "HEAD"), options)
    assert [each.text for each in found.found] == ["Commit 4", "Commit 3"]
    assert found.found[0].commit == _rev(folder, "HEAD")
    assert not found.more


def test_only_the_newest_commits_of_a_long_history_are_read(
    folder: Path, options: ScmOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_COMMITS", 2)
    found = subjects(url(folder), _rev(folder, "HEAD~4"), _rev(folder, "HEAD"), options)
    assert ([each.text for each in found.found], found.more) == (["Commit 4", "Commit 3"], True)


def test_a_former_commit_has_no_commits_after_a_later_one(folder: Path, options: ScmOptions) -> None:
    git(folder, "branch", "former", "HEAD~2")
    found = subjects(url(folder), _rev(folder, "HEAD"), _rev(folder, "HEAD~2"), options)
    assert len(found.found) <= 3


def test_a_subject_is_shortened_and_printable(folder: Path, options: ScmOptions) -> None:
    commit(folder, {"file": "x"}, "\x1b[2J" + "x" * 5000)
    (found,) = subjects(url(folder), _rev(folder, "HEAD~1"), _rev(folder, "HEAD"), options).found
    assert found.text.isprintable()
    assert len(found.text) < 300


@pytest.mark.parametrize("old", ["--output=/tmp/x", "HEAD", "0" * 39])
def test_only_full_commits_reach_git(folder: Path, options: ScmOptions, old: str) -> None:
    with pytest.raises(ScmError):
        subjects(url(folder), old, _rev(folder, "HEAD"), options)
