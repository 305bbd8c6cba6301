"""Find the modulemd document to build: in a checkout, by a URL, committed or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mbs.client.local.source import MAX_DOCUMENT, Source, find_source
from mbs.errors import InvalidInput, MBSError, TooLarge
from tests.gitrepos import commit, git, make_repo
from tests.mbs.client.local.documents import TEXT


def test_the_committed_document_is_built_unless_changes_are_wanted(checkout: Path) -> None:
    path = checkout / "quiet.yaml"
    clean = find_source(str(checkout))
    assert (clean.text, clean.file_name, clean.branch, clean.left_out) == (TEXT, "quiet", "1.10", False)
    path.write_text(TEXT.replace("%own 1", "%own 2"))
    kept, changed = find_source(str(checkout)), find_source(str(checkout), uncommitted=True)
    assert kept.text == TEXT
    assert kept.left_out
    assert kept.seconds == clean.seconds == 1517838714
    assert "%own 2" in changed.text
    assert (changed.seconds, changed.left_out) == (None, False)


def test_uncommitted_without_changes_is_the_commit(checkout: Path) -> None:
    assert find_source(str(checkout), uncommitted=True) == find_source(str(checkout))


def test_the_checkout_is_found_from_a_folder_in_it(checkout: Path) -> None:
    (checkout / "sub").mkdir()
    assert find_source(str(checkout / "sub")) == find_source(str(checkout))


def test_a_new_document_without_a_commit_is_built_with_uncommitted(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "new.yaml").write_text(TEXT)
    with pytest.raises(InvalidInput, match="has no commit"):
        find_source(str(folder))
    assert find_source(str(folder), uncommitted=True).text == TEXT


def test_the_document_is_named_after_the_repository_or_the_folder_or_is_the_only_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    make_repo(folder, {"folder.yaml": TEXT, "remote.yaml": TEXT, "x.yaml": TEXT})
    assert find_source(str(folder)).file_name == "folder"
    git(folder, "remote", "add", "origin", "https://git.example.com/modules/remote.git/")
    assert find_source(str(folder)).file_name == "remote"
    git(folder, "rm", "--quiet", "folder.yaml", "remote.yaml")
    commit(folder, {})
    assert find_source(str(folder)).file_name == "x"
    commit(folder, {"y.yaml": TEXT})
    with pytest.raises(InvalidInput, match=r"several YAML files: x.yaml, y.yaml"):
        find_source(str(folder))
    git(folder, "rm", "--quiet", "x.yaml", "y.yaml")
    commit(folder, {})
    with pytest.raises(InvalidInput, match="no modulemd file"):
        find_source(str(folder))


@pytest.mark.parametrize("uncommitted", [False, True])
def test_a_document_that_links_out_of_the_checkout_is_refused(tmp_path: Path, uncommitted: bool) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(TEXT)
    folder = tmp_path / "linked"
    make_repo(folder, {"README": "x"})
    (folder / "linked.yaml").symlink_to(secret)
    commit(folder, {})
    with pytest.raises(InvalidInput, match="not a regular file"):
        find_source(str(folder), uncommitted=uncommitted)


def test_a_pipe_in_place_of_the_document_does_not_block(checkout: Path) -> None:
    (checkout / "quiet.yaml").unlink()
    os.mkfifo(checkout / "quiet.yaml")
    with pytest.raises(InvalidInput, match="not a regular file"):
        find_source(str(checkout), uncommitted=True)
    assert find_source(str(checkout)).left_out


@pytest.mark.parametrize("uncommitted", [False, True])
def test_a_document_that_is_too_large_is_refused(checkout: Path, uncommitted: bool) -> None:
    commit(checkout, {"quiet.yaml": "x" * (MAX_DOCUMENT + 1)})
    with pytest.raises(TooLarge, match=f"larger than {MAX_DOCUMENT} bytes"):
        find_source(str(checkout), uncommitted=uncommitted)


def test_programs_of_the_checkouts_configuration_do_not_run(checkout: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "log.showSignature"):
        git(checkout, "config", key, str(program) if key != "log.showSignature" else "true")
    git(checkout, "config", "gpg.program", str(program))
    (checkout / "quiet.yaml").write_text(f"{TEXT}# changed\n")
    find_source(str(checkout), uncommitted=True)
    find_source(str(checkout))
    assert not ran.exists()


def test_a_partial_clone_does_not_fetch_with_programs_of_its_configuration(
    checkout: Path, tmp_path: Path
) -> None:
    """Git fetches a missing object by itself, with the ssh command of the configuration."""
    ran, blob = tmp_path / "ran", git(checkout, "rev-parse", "HEAD:quiet.yaml")
    (checkout / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for key, value in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "ssh://git.example.com/quiet"),
        ("core.sshCommand", f"touch '{ran}'; false"),
    ):
        git(checkout, "config", key, value)
    with pytest.raises(MBSError, match="git cat-file failed"):
        find_source(str(checkout))
    git(checkout, "config", "remote.origin.url", str(tmp_path))
    git(checkout, "config", "remote.origin.uploadpack", f"touch '{ran}'; false")
    with pytest.raises(MBSError, match="git cat-file failed"):
        find_source(str(checkout))
    assert not ran.exists()


def test_sources_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="There is no"):
        find_source(str(tmp_path / "nothing"))
    with pytest.raises(InvalidInput, match="not a git checkout"):
        find_source(str(tmp_path))
    with pytest.raises(InvalidInput, match="neither a branch nor a commit"):
        find_source("https://git.example.com/modules/x")
    with pytest.raises(InvalidInput, match="not a URL"):
        find_source("https://git.example.com/modules/x", uncommitted=True)


def test_a_url_names_a_branch_or_a_commit(checkout: Path) -> None:
    by_branch = find_source(checkout.as_uri(), branch="1.10")
    assert (by_branch.text, by_branch.file_name, by_branch.branch) == (TEXT, "quiet", "1.10")
    by_commit = find_source(f"{checkout.as_uri()}?#{git(checkout, 'rev-parse', 'HEAD')}")
    assert (by_commit.text, by_commit.branch) == (TEXT, "")
    with pytest.raises(MBSError, match="the network is not used"):
        find_source("https://git.example.com/modules/x?#main", network=False)


def test_a_source_has_documents(checkout: Path) -> None:
    source: Source = find_source(str(checkout))
    (document,) = source.documents()
    assert (document.name, document.stream) == ("quiet", "1.10")
