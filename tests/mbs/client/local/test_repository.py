"""Documents and source RPMs as commits of git repositories."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mbs.client.local import repository, srpms
from mbs.errors import InvalidInput
from tests.gitrepos import git


def test_documents_get_commits_of_their_own_and_keep_them(tmp_path: Path) -> None:
    def store(text: str, seconds: int | None) -> str:
        return repository.store(
            tmp_path / "git", "quiet.yaml", text, branch="1", seconds=seconds, origin="a test"
        )

    def time(made: str) -> int:
        return int(git(tmp_path / "git", "log", "-1", "--format=%ct", made))

    first = store("a", 1517838714)
    assert store("a", 1517838714) == first
    assert time(first) == 1517838714
    other = store("b", 1517838714)  # an amended commit of the same second
    assert time(other) > time(first)
    changed, again = store("c", None), store("d", None)
    assert len({time(each) for each in (first, other, changed, again)}) == 4
    assert store("c", None) == changed
    assert git(tmp_path / "git", "rev-parse", "refs/heads/1") == changed
    assert git(tmp_path / "git", "show", f"{changed}:quiet.yaml") == "c"


def test_source_rpms_are_named_by_component(tmp_path: Path) -> None:
    path = tmp_path / "one-1-1.src.rpm"
    path.write_bytes(b"not an rpm")
    assert srpms.choices((f"one={path}",)) == srpms.choices((str(path),)) == {"one": path}
    for text in ("one", "=x", f"a/b={path}", f"one={tmp_path}", f"one={tmp_path}/two.src.rpm"):
        with pytest.raises(InvalidInput):
            srpms.choices((text,))


@pytest.mark.skipif(shutil.which("rpm2archive") is None, reason="needs rpm2archive")
def test_an_invalid_source_rpm_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one-1-1.src.rpm"
    path.write_bytes(b"not an rpm")
    with pytest.raises(InvalidInput, match="rpm2archive cannot read it"):
        srpms.store(path, tmp_path / "git")


@pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="needs rpmbuild")
def test_the_files_of_a_source_rpm_become_a_commit(tmp_path: Path) -> None:
    spec = tmp_path / "one.spec"
    text = "Name: one\nVersion: 1\nRelease: 1\nSummary: One\nLicense: MIT\nSource0: one.sh\n"
    spec.write_text(f"{text}%description\nOne.\n")
    (tmp_path / "one.sh").write_text("#!/bin/sh\n")
    folders = [f"--define=_{name}dir {tmp_path}" for name in ("source", "srcrpm", "spec")]
    subprocess.run(["rpmbuild", "-bs", *folders, str(spec)], check=True, capture_output=True)
    path = next(tmp_path.glob("*.src.rpm"))
    url, made = srpms.store(path, tmp_path / "git")
    assert url == (tmp_path / "git").as_uri()
    assert srpms.store(path, tmp_path / "git") == (url, made)
    assert git(tmp_path / "git", "ls-tree", "--name-only", made).split() == ["one.sh", "one.spec"]
