"""Components that are built from checkouts, with changes that are not committed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mbs.client.local import checkouts
from mbs.errors import InvalidInput, TooLarge
from mbs.modulemd.parsing import parse_streams
from tests.gitrepos import git, make_repo

MODULEMD = """\
document: modulemd
version: 2
data:
  name: quiet
  stream: '1'
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  components:
    rpms:
      one: {{rationale: needed, ref: {ref}, repository: '{repository}'}}
      two: {{rationale: needed}}
"""


class Bench:
    """A checkout of a component, and the sources of a module that names it."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.store = folder / "an odd name #%41", folder / "store"
        make_repo(self.checkout, {"one.spec": "1", "old": "old", ".gitignore": "*.rpm\n"}, branch="main")
        self.said: list[str] = []

    def sources(
        self, chosen: dict[str, Path] | None = None, *, ref: str = "main", uncommitted: bool = True
    ) -> dict[str, tuple[str, str]]:
        """Return the sources of the components."""
        text = MODULEMD.format(ref=ref, repository=self.checkout.as_uri())
        documents = list(parse_streams(text, strict=False))
        found = checkouts.sources(
            documents, chosen or {}, self.store, self.said.append, uncommitted=uncommitted
        )
        return dict(found)

    def files(self, commit: str) -> dict[str, str]:
        """Return the files of a stored commit."""
        rows = git(self.store / "one", "ls-tree", "-r", commit).splitlines()
        return {row.partition("\t")[2]: row.partition(" ")[0] for row in rows}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A clean checkout."""
    return Bench(tmp_path)


def test_the_work_tree_of_a_component_is_built_and_its_checkout_is_not_changed(bench: Bench) -> None:
    (bench.checkout / "one.spec").write_text("2")
    (bench.checkout / "new.sh").write_text("new")
    (bench.checkout / "new.sh").chmod(0o755)
    (bench.checkout / "link").symlink_to("one.spec")
    (bench.checkout / "ignored.rpm").write_text("ignored")
    (bench.checkout / "old").unlink()
    before = {path: path.stat().st_mtime_ns for path in (bench.checkout / ".git").rglob("*")}
    url, commit = bench.sources()["one"]
    assert url == (bench.store / "one").as_uri()
    assert bench.files(commit) == {
        ".gitignore": "100644",
        "link": "120000",
        "new.sh": "100755",
        "one.spec": "100644",
    }
    assert git(bench.store / "one", "show", f"{commit}:one.spec") == "2"
    assert git(bench.store / "one", "show", f"{commit}:link") == "one.spec"
    assert {path: path.stat().st_mtime_ns for path in (bench.checkout / ".git").rglob("*")} == before
    assert "one is built from uncommitted changes on commit" in bench.said[0]
    assert bench.sources()["one"] == (url, commit), "the same state is the same commit, so a run continues"


def test_a_clean_work_tree_is_built_from_its_repository(bench: Bench) -> None:
    assert bench.sources() == {}


def test_changes_are_left_out_unless_they_are_wanted(bench: Bench) -> None:
    (bench.checkout / "one.spec").write_text("2")
    assert bench.sources(uncommitted=False) == {}


def test_a_work_tree_of_another_commit_is_left_out_unless_it_is_chosen(bench: Bench) -> None:
    (bench.checkout / "one.spec").write_text("2")
    git(bench.checkout, "branch", "other")
    git(bench.checkout, "commit", "--quiet", "--all", "--message=Two")
    (bench.checkout / "one.spec").write_text("3")
    assert bench.sources(ref="other") == {}
    assert "--checkout one=" in bench.said[0]
    _, commit = bench.sources({"one": bench.checkout}, ref="other")["one"]
    assert git(bench.store / "one", "show", f"{commit}:one.spec") == "3"


def test_a_chosen_checkout_replaces_the_repository(bench: Bench) -> None:
    (bench.checkout / "one.spec").write_text("2")
    head = git(bench.checkout, "rev-parse", "HEAD")
    wanted = {"one": ((bench.store / "one").as_uri(), head)}
    assert bench.sources({"one": bench.checkout}, uncommitted=False) == wanted
    assert bench.files(head).keys() == {".gitignore", "old", "one.spec"}
    git(bench.checkout, "commit", "--quiet", "--amend", "--message=Another first commit")
    assert bench.sources({"one": bench.checkout}, uncommitted=False) != wanted
    assert f"one is built from commit {head[:12]} of {bench.checkout}." in bench.said


def test_a_checkout_without_a_commit_can_be_built_with_its_changes(bench: Bench, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    git(new, "init", "--quiet")
    (new / "two.spec").write_text("2")
    with pytest.raises(InvalidInput, match="not a git checkout with a commit"):
        bench.sources({"two": new}, uncommitted=False)
    assert "two" in bench.sources({"two": new})


@pytest.mark.parametrize("text", ["one", "=x", "one=", "a/b=.", "one=/no/such/folder"])
def test_a_choice_that_names_no_folder_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        checkouts.choices((text,))


def test_a_folder_without_git_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(InvalidInput, match="not a git checkout"):
        bench.sources({"two": tmp_path / "plain"})


def test_programs_of_the_configuration_do_not_run(bench: Bench, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    for name in ("filter.evil.clean", "filter.evil.process", "core.fsmonitor", "core.sshCommand"):
        git(bench.checkout, "config", name, f"touch '{witness}'; cat")
    (bench.checkout / ".gitattributes").write_text("* filter=evil\n")
    (bench.checkout / "one.spec").write_text("2")
    hook = bench.checkout / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{witness}'\n")
    hook.chmod(0o755)
    _, commit = bench.sources()["one"]
    assert git(bench.store / "one", "show", f"{commit}:one.spec") == "2"
    assert not witness.exists()


def test_files_outside_of_the_checkout_are_not_taken(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    folder = bench.checkout / "folder"
    folder.mkdir()
    (folder / "key").write_text("harmless")
    git(bench.checkout, "add", "--all")
    git(bench.checkout, "commit", "--quiet", "--message=Add a key")
    (folder / "key").unlink()
    folder.rmdir()
    folder.symlink_to(secret)
    os.mkfifo(bench.checkout / "pipe")
    _, commit = bench.sources()["one"]
    files = bench.files(commit)
    assert files["folder"] == "120000"
    assert "folder/key" not in files
    assert "pipe" not in files


def test_a_work_tree_that_the_configuration_names_elsewhere_is_not_taken(
    bench: Bench, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    git(bench.checkout, "config", "core.worktree", str(secret))
    assert bench.sources() == {}
    with pytest.raises(InvalidInput, match="not a git checkout"):
        bench.sources({"one": bench.checkout})


def test_names_that_are_not_supported_and_too_many_files_are_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.checkout / "a\nb").write_text("x")
    with pytest.raises(InvalidInput, match=r"'a\\\\nb'"):
        bench.sources()
    monkeypatch.setattr(checkouts, "MAX_FILES", 2)
    with pytest.raises(TooLarge):
        bench.sources()


def test_submodules_keep_their_commit(bench: Bench, tmp_path: Path) -> None:
    make_repo(tmp_path / "part", {"x": "x"})
    command = ("submodule", "add", "--quiet", str(tmp_path / "part"), "part")
    git(bench.checkout, "-c", "protocol.file.allow=always", *command)
    git(bench.checkout, "commit", "--quiet", "--all", "--message=Add a part")
    assert bench.sources() == {}
    (bench.checkout / "one.spec").write_text("2")
    assert bench.files(bench.sources()["one"][1])["part"] == "160000"
