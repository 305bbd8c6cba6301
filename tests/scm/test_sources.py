"""Source files of components."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from scm.options import ScmOptions
from scm.sources import Lookaside, Upload, check_sources, parse_sources
from scm.specs import SourceFile
from tests.scm.servers import http_answers

MD5, SHA512 = "0123456789abcdef" * 2, "0123456789abcdef" * 8
REPOSITORY = "https://src.example.org/rpms/foo"


def test_reads_both_forms_of_a_sources_file() -> None:
    text = (
        f"{MD5}  old.tar.gz\n\nSHA512 (new-1.0 (beta).tar.gz) = {SHA512}\n{'a' * 40} SOURCES/centos.tar\n!\n"
    )
    assert parse_sources(text) == {
        "old.tar.gz": Upload("md5", MD5),
        "new-1.0 (beta).tar.gz": Upload("sha512", SHA512),
        "centos.tar": Upload("sha1", "a" * 40),
    }


def _check(
    *values: str,
    committed: tuple[str, ...] = (),
    uploads: Mapping[str, Upload] | None = None,
    conditional: bool = False,
    lookaside: str = "",
) -> tuple[list[str], list[str]]:
    """Messages of faults and warnings."""
    options = ScmOptions(lookaside={"https://src.example.org/": lookaside} if lookaside else {})
    files = [SourceFile(f"Source{i}", value, conditional) for i, value in enumerate(values)]
    with Lookaside(options) as cache:
        faults, warnings = check_sources(
            files,
            package="foo",
            committed=committed,
            uploads=uploads or {},
            template=cache.template(REPOSITORY),
            lookaside=cache,
        )
    return [fault.message for fault in faults], warnings


def test_a_source_in_git_or_in_the_sources_file_is_there() -> None:
    values = ("a.conf", "https://example.org/download/b.tar.gz", "https://example.org/x/v1.tgz#/c.tgz")
    uploads = {"b.tar.gz": Upload("md5", MD5)}
    assert _check(*values, committed=("a.conf", "SOURCES/c.tgz"), uploads=uploads) == ([], [])


def test_every_missing_source_is_named_once() -> None:
    faults, warnings = _check("a.conf", "https://example.org/b.tar.gz", "b.tar.gz", committed=("sub/a.conf",))
    assert len(faults) == 2
    assert "Source0 (a.conf)" in faults[0]
    assert "Source1 (b.tar.gz)" in faults[1]
    assert not warnings


@pytest.mark.parametrize(
    "value",
    ["%{forgesource}", "foo-%(date).tgz", "foo-$(date).tgz", "foo-`date`.tgz", "https://h/%{a}/", "x/${a}"],
)
def test_a_name_that_only_rpm_can_work_out_is_a_warning(value: str) -> None:
    faults, warnings = _check(value)
    assert not faults
    assert value in warnings[0]


def test_a_missing_source_inside_a_condition_is_a_warning() -> None:
    faults, warnings = _check("a.conf", conditional=True)
    assert not faults
    assert "a.conf" in warnings[0]


def test_asks_the_lookaside_cache_for_what_the_sources_file_names() -> None:
    with http_answers({f"/pkgs/foo/here.tgz/md5/{MD5}/here.tgz": 200}) as (url, asked):
        uploads = {"here.tgz": Upload("md5", MD5), "gone.tgz": Upload("sha512", SHA512)}
        faults, warnings = _check("here.tgz", "gone.tgz", uploads=uploads, lookaside=f"{url}/pkgs/")
    assert not faults
    assert len(warnings) == 1
    assert "gone.tgz" in warnings[0]
    assert all(line.startswith("HEAD ") for line in asked)


def test_a_source_that_only_the_cache_has_is_there() -> None:
    with http_answers({"/cache/foo/here.tgz": 200, "/cache/foo/busy.tgz": 503}) as (url, _):
        template = f"{url}/cache/{{package}}/{{file}}"
        assert _check("here.tgz", lookaside=template) == ([], [])
        faults, _warnings = _check("gone.tgz", lookaside=template)
        assert len(faults) == 1


def test_names_cannot_leave_their_place_in_the_cache() -> None:
    with http_answers({"*": 200}) as (url, asked):
        _check("x/a b?c#d&..{package}", lookaside=f"{url}/cache/{{package}}/{{file}}")
    assert asked == ["HEAD /cache/foo/a%20b%3Fc%23d%26..%7Bpackage%7D"]


def test_redirects_of_the_cache_are_followed_a_few_times_and_never_to_another_scheme() -> None:
    with http_answers(
        {"/a/x": "/b/x", "/b/x": 200, "/loop/x": "/loop/x", "/file/x": "file:///etc/passwd"}
    ) as (
        url,
        asked,
    ):
        assert _check("x", lookaside=f"{url}/a/{{file}}") == ([], [])
        for place in ("loop", "file"):
            faults, _ = _check("x", lookaside=f"{url}/{place}/{{file}}")
            assert len(faults) == 1
    assert asked.count("HEAD /loop/x") <= 5


def test_a_cache_that_is_away_does_not_make_an_uploaded_source_missing() -> None:
    uploads = {"a.tgz": Upload("md5", MD5)}
    assert _check("a.tgz", uploads=uploads, lookaside="http://127.0.0.1:1/pkgs") == ([], [])


def test_a_cache_of_another_dist_git_is_not_asked() -> None:
    with (
        http_answers({"*": 404}) as (url, asked),
        Lookaside(ScmOptions(lookaside={"https://h/": url})) as cache,
    ):
        assert cache.template(REPOSITORY) == ""
        assert cache.has("", "foo", "a", Upload("md5", MD5)) is None
    assert not asked
