"""Fetching modulemd documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mbs.errors import Forbidden, InvalidInput
from scm.errors import ScmError
from scm.modules import fetch_modulemd
from scm.options import ScmOptions
from tests.gitrepos import commit, git, make_repo, url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "foo.git"
    make_repo(folder, {"foo.yaml": "first\n", "other/foo.yaml": "in a folder\n", "any.yaml": "by path\n"})
    commit(folder, {"foo.yaml": "second\n"}, when="2019-01-01T00:00:00Z")
    return folder


def _fault(scmurl: str, options: ScmOptions, branch: str = "master") -> ScmError:
    with pytest.raises(ScmError) as caught:
        fetch_modulemd(scmurl, branch, options)
    return caught.value


def test_reads_the_document_at_exactly_the_revision(folder: Path, options: ScmOptions) -> None:
    first = git(folder, "rev-parse", "master~1")
    source = fetch_modulemd(f"{url(folder)}?#{first}", "master", options)
    assert (source.text, source.commit, source.name, source.path) == ("first\n", first, "foo", "foo.yaml")
    assert source.commit_time == datetime(2018, 2, 5, 13, 51, 54, tzinfo=UTC)
    assert source.scmurl == f"{url(folder)}?#{first}"


def test_a_branch_as_revision_is_resolved(folder: Path, options: ScmOptions) -> None:
    source = fetch_modulemd(f"{url(folder)}#master", "master", options)
    assert source.text == "second\n"
    assert source.commit == git(folder, "rev-parse", "master")


@pytest.mark.parametrize(("modpath", "text"), [("other", "in a folder\n"), ("any.yaml", "by path\n")])
def test_the_document_may_lie_elsewhere(folder: Path, options: ScmOptions, modpath: str, text: str) -> None:
    assert fetch_modulemd(f"{url(folder)}?{modpath}#master", "master", options).text == text


def test_a_missing_document_is_named(folder: Path, options: ScmOptions) -> None:
    fault = _fault(f"{url(folder)}?none#master", options)
    assert fault.code == "no_modulemd"
    assert fault.tried == "none, none/foo.yaml"


def test_a_revision_that_is_not_on_the_branch_is_refused(folder: Path, options: ScmOptions) -> None:
    git(folder, "branch", "stable", "master~1")
    head = git(folder, "rev-parse", "master")
    fault = _fault(f"{url(folder)}?#{head}", options, "stable")
    assert fault.code == "commit_not_on_branch"
    assert head in fault.message
    assert _fault(f"{url(folder)}?#{head}", options, "none").code == "ref_unknown"
    for lenient in (replace(options, commit_on_branch=False), options):
        branch = "" if lenient is options else "none"
        assert fetch_modulemd(f"{url(folder)}?#{head}", branch, lenient).text == "second\n"


@pytest.mark.parametrize("branch", ["-x", "--upload-pack=x", "a b", "a..b"])
def test_a_branch_that_can_be_none_is_refused(folder: Path, options: ScmOptions, branch: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fetch_modulemd(f"{url(folder)}?#master", branch, options)
    assert caught.value.code == "branch_invalid"


def test_the_allow_list_is_asked_before_git(folder: Path, options: ScmOptions) -> None:
    options = replace(options, allowed_prefixes=(url(folder.parent) + "/modules/",))
    with pytest.raises(Forbidden) as caught:
        fetch_modulemd(f"{url(folder)}?#master", "master", options)
    assert caught.value.code == "scmurl_not_allowed"
    assert fetch_modulemd(f"{url(folder)}?#master", "master", replace(options, allow_custom=True)).text


@pytest.mark.parametrize("scmurl", ["ext::sh -c touch% x#master", "--upload-pack=touch x#master", "foo"])
def test_an_invalid_scmurl_is_refused(options: ScmOptions, scmurl: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fetch_modulemd(scmurl, "master", options)
    assert caught.value.code == "scmurl_invalid"


def test_unknown_revisions_and_unknown_repositories_have_different_errors(
    folder: Path, options: ScmOptions
) -> None:
    assert _fault(f"{url(folder)}?#f99", options).code == "ref_unknown"
    assert _fault(f"{url(folder)}?#{'1' * 40}", options).code == "ref_unknown"
    assert _fault(f"{url(folder.parent / 'none')}?#f99", options).code == "repository_unreachable"


def test_a_document_over_its_bound_or_in_another_encoding_is_refused(
    folder: Path, options: ScmOptions
) -> None:
    commit(folder, {"foo.yaml": b"#" * 2_000_000, "any.yaml": b"summary: \xff\n"})
    assert _fault(f"{url(folder)}?#master", options).code == "file_too_large"
    assert _fault(f"{url(folder)}?any.yaml#master", options).code == "modulemd_not_text"
