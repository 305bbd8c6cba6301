"""Scm urls and the allow list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbs import names
from mbs.errors import ConfigurationError, Forbidden, InvalidInput
from scm.urls import TRANSPORTS, ScmUrl, allowed, check_scmurl, parse_repository

MODULES = "https://src.example.org/modules/"
COMMIT = "620ec77321b2ea7b0d67d82992dda3e1d67055b4"


@pytest.mark.parametrize(
    ("text", "repository", "name", "revision", "modpath"),
    [
        (f"{MODULES}foo?#{COMMIT}", f"{MODULES}foo", "foo", COMMIT, ""),
        (f"{MODULES}foo.git#{COMMIT}", f"{MODULES}foo.git", "foo", COMMIT, ""),
        (f"{MODULES}foo/?#f28", f"{MODULES}foo", "foo", "f28", ""),
        ("git+https://src.example.org/foo?#f28", "https://src.example.org/foo", "foo", "f28", ""),
        ("git://Src.Example.ORG/foo?sub/dir#1.0", "git://src.example.org/foo", "foo", "1.0", "sub/dir"),
        ("file:///srv/git/foo?#a/b", "file:///srv/git/foo", "foo", "a/b", ""),
        ("ssh://git@example.org:2222/foo.git?#x", "ssh://git@example.org:2222/foo.git", "foo", "x", ""),
        ("https://src.example.org:443/gtk%2B3?#x", "https://src.example.org/gtk%2B3", "gtk+3", "x", ""),
        ("http://[::1]:8080/foo?#x", "http://[::1]:8080/foo", "foo", "x", ""),
        (
            "HTTPS://src.example.org/libsigc++20?#x",
            "https://src.example.org/libsigc++20",
            "libsigc++20",
            "x",
            "",
        ),
    ],
)
def test_reads_the_parts_of_a_scmurl(
    text: str, repository: str, name: str, revision: str, modpath: str
) -> None:
    url = ScmUrl.parse(text)
    assert (url.repository, url.name, url.revision, url.modpath) == (repository, name, revision, modpath)
    assert ScmUrl.parse(str(url)).repository == repository


MALFORMED = [
    "",
    "foo",
    "--upload-pack=touch /tmp/x",
    "-oProxyCommand=touch#x",
    "ext::sh -c touch% /tmp/x#f28",
    "ext://sh/-c#f28",
    "fd::17/foo#f28",
    "svn://src.example.org/foo#1",
    "git@src.example.org:foo.git#x",
    "/srv/git/foo#x",
    f"{MODULES}foo",
    f"{MODULES}foo?",
    f"{MODULES}foo?#",
    f"{MODULES}foo?#a#b",
    f"{MODULES}foo?#--upload-pack=x",
    f"{MODULES}foo?#-x",
    f"{MODULES}foo?#a..b",
    f"{MODULES}foo?#HEAD~1",
    f"{MODULES}foo?#HEAD^{{tree}}",
    f"{MODULES}foo?#a b",
    f"{MODULES}foo?#*",
    f"{MODULES}foo?#a:b",
    f"{MODULES}foo?#@{{u}}",
    f"{MODULES}../secret?#x",
    f"{MODULES}./foo?#x",
    f"{MODULES}..?#x",
    f"{MODULES}%2e%2e/secret?#x",
    f"{MODULES}%2E./secret?#x",
    f"{MODULES}..%2fsecret?#x",
    f"{MODULES}foo%5c..%5cbar?#x",
    f"{MODULES}%252e%252e/secret?#x",
    f"{MODULES}foo%00?#x",
    f"{MODULES}foo%0a?#x",
    f"{MODULES}foo%ff?#x",
    f"{MODULES}foo\n?#x",
    f"{MODULES}foo?#x\n",
    f" {MODULES}foo?#x",
    f"{MODULES}foo bar?#x",
    f"{MODULES}foo\\bar?#x",
    f"{MODULES}fo\u00f6?#x",
    f"{MODULES}foo?../x#y",
    f"{MODULES}foo?/etc/passwd#y",
    f"{MODULES}foo?-x#y",
    "https://src.example.org?#x",
    "https://src.example.org/?#x",
    "https:///foo?#x",
    "https://user:password@src.example.org/foo?#x",
    "https://user@src.example.org/foo?#x",
    "https://src.example.org./foo?#x",
    "https://src.example.org:/foo?#x",
    "https://src.example.org:0/foo?#x",
    "https://src.example.org:99999/foo?#x",
    "https://src.example.org:80a/foo?#x",
    "ssh://-oProxyCommand=x/foo?#x",
    "ssh://git@-x/foo?#x",
    "ssh://-l@host/foo?#x",
    "file://host/foo?#x",
    "https://" + "a" * 3000 + "/foo?#x",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_refuses_what_is_no_scmurl(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ScmUrl.parse(text)
    assert caught.value.code == "scmurl_invalid"
    assert caught.value.hint


def test_never_repeats_a_password() -> None:
    with pytest.raises(InvalidInput) as caught:
        ScmUrl.parse("https://user:secret@src.example.org/foo?#x")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        (MODULES, f"{MODULES}foo?#x"),
        ("https://src.example.org", f"{MODULES}foo?#x"),
        ("HTTPS://SRC.example.org:443/modules/", f"{MODULES}foo?#x"),
        ("git+https://src.example.org/modules/", f"{MODULES}foo?#x"),
        (MODULES, "https://src.example.org/%6dodules/foo?#x"),
        ("https://", f"{MODULES}foo?#x"),
        ("file:///", "file:///srv/git/foo?#x"),
        ("file:///srv/git/fo", "file:///srv/git/foo?#x"),
        ("ssh://git@src.example.org/", "ssh://git@src.example.org:22/foo?#x"),
    ],
)
def test_allows_what_begins_with_a_prefix(prefix: str, text: str) -> None:
    allowed(ScmUrl.parse(text), ["git://nowhere.example.org/", prefix])


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        (MODULES, "https://src.example.org/rpms/foo?#x"),
        (MODULES, "http://src.example.org/modules/foo?#x"),
        (MODULES, "git://src.example.org/modules/foo?#x"),
        (MODULES, "https://src.example.org/Modules/foo?#x"),
        (MODULES, "https://src.example.org//modules/foo?#x"),
        (MODULES, "https://src.example.org:8443/modules/foo?#x"),
        ("https://src.example.org", "https://src.example.org.evil.test/foo?#x"),
        ("https://src.example", "https://src.example.org/foo?#x"),
        ("https://src.example.org:80", "https://src.example.org:8080/foo?#x"),
        ("ssh://src.example.org/", "ssh://git@src.example.org/foo?#x"),
        ("file:///srv/git/", "file:///srv/gitother/foo?#x"),
    ],
)
def test_the_allow_list_is_not_fooled(prefix: str, text: str) -> None:
    with pytest.raises(Forbidden) as caught:
        allowed(ScmUrl.parse(text), [prefix])
    assert caught.value.code == "scmurl_not_allowed"


def test_an_empty_allow_list_allows_nothing() -> None:
    with pytest.raises(Forbidden):
        check_scmurl(f"{MODULES}foo?#x", [])


def test_a_prefix_that_can_never_match_is_the_operators_fault() -> None:
    with pytest.raises(ConfigurationError, match=r"src\.example\.org/modules"):
        check_scmurl(f"{MODULES}foo?#x", ["src.example.org/modules"])


@pytest.mark.parametrize("text", ["git://elsewhere.example.org", "https://elsewhere.example.org/foo"])
def test_an_incomplete_url_of_a_place_that_is_not_allowed_is_not_allowed(text: str) -> None:
    with pytest.raises(Forbidden):
        check_scmurl(text, [MODULES])
    with pytest.raises(InvalidInput):
        check_scmurl(text, [MODULES], allow_custom=True)


def test_an_incomplete_url_of_an_allowed_place_is_malformed() -> None:
    with pytest.raises(InvalidInput):
        check_scmurl(f"{MODULES}foo", [MODULES])


def test_custom_urls_may_lie_anywhere_when_they_are_allowed() -> None:
    assert check_scmurl("git://elsewhere.example.org/foo?#x", [], allow_custom=True).name == "foo"


@pytest.mark.parametrize("text", ["-x", "ext::sh", "https://h/foo#x", "https://h/foo?x", "file:///", "foo"])
def test_refuses_what_is_no_repository(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_repository(text)
    assert caught.value.code == "repository_invalid"


@pytest.mark.parametrize(
    "ref", ["f28", "stream-1.0", "private/me/x", "v1.0+2", COMMIT, "c8s-stream-rhel8", "a_b"]
)
def test_names_of_branches_tags_and_commits_are_refs(ref: str) -> None:
    assert names.REF.fits(ref)


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "-f",
        "/a",
        "a/",
        "a//b",
        "a/.b",
        "a..b",
        "a.lock",
        "a.",
        "a b",
        "a\n",
        "a~1",
        "a^",
        "a*",
        "a[",
        "@{-1}",
    ],
)
def test_text_with_a_special_meaning_for_git_is_no_ref(ref: str) -> None:
    assert not names.REF.fits(ref)


@given(
    st.text("aA.:/@?#%-[]\\ \n\0~+2ef0é", max_size=40)
    | st.builds(
        "".join, st.lists(st.sampled_from(["https", "://", "h", "/", "..", "%2e", "@", ":", "#", "?", "x"]))
    )
)
def test_whatever_is_sent_is_read_or_refused_and_then_lies_where_it_was_checked(text: str) -> None:
    try:
        url = ScmUrl.parse(text)
    except InvalidInput:
        return
    scheme, rest = url.repository.split("://", 1)
    assert scheme in TRANSPORTS.values()
    assert ".." not in rest.split("/")
    assert not url.revision.startswith("-")
