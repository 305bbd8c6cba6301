"""Web pages of commits on known forges, from untrusted addresses."""

from __future__ import annotations

import pytest

from scm.forges import commit_page, comparison_page

OLD, NEW = "1" * 40, "2" * 40


@pytest.mark.parametrize(
    ("repository", "page"),
    [
        ("https://github.com/owner/name.git", f"https://github.com/owner/name/compare/{OLD}...{NEW}"),
        ("git+https://github.com/owner/name", f"https://github.com/owner/name/compare/{OLD}...{NEW}"),
        ("https://gitlab.com/a/b/c.git", f"https://gitlab.com/a/b/c/-/compare/{OLD}...{NEW}"),
        ("https://gitlab.example.com/a/b", f"https://gitlab.example.com/a/b/-/compare/{OLD}...{NEW}"),
        (
            "https://src.fedoraproject.org/rpms/perl",
            f"https://src.fedoraproject.org/rpms/perl/c/{OLD}..{NEW}",
        ),
    ],
)
def test_known_forges_show_the_commits_between_two(repository: str, page: str) -> None:
    assert comparison_page(repository, OLD, NEW) == page


@pytest.mark.parametrize(
    "repository",
    [
        None,
        "",
        "https://example.com/a/b",
        "javascript://github.com/%0aalert(1)",
        'https://github.com/a"><script>/b',
        "https://github.com/../b",
        "https://github.com.evil.example/a/b",
        "https://user@evil.example/github.com/a",
        "file:///github.com/a/b",
        "https://[github.com/a/b",
    ],
)
def test_other_addresses_have_no_page(repository: str | None) -> None:
    assert comparison_page(repository, OLD, NEW) == commit_page(repository, NEW) == ""


@pytest.mark.parametrize("commit", [None, "", "main", "1" * 39, "1" * 40 + "\n", "../" * 14])
def test_only_whole_commits_have_pages(commit: str | None) -> None:
    assert commit_page("https://github.com/a/b", commit) == ""
    assert comparison_page("https://github.com/a/b", OLD, commit) == ""


def test_credentials_of_an_address_are_not_shown() -> None:
    assert commit_page("https://me:secret@github.com/a/b", NEW) == f"https://github.com/a/b/commit/{NEW}"
