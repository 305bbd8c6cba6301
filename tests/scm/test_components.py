"""Verification of components."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mbs.errors import Problem, Unprocessable
from scm.components import ComponentRequest, verify_components
from scm.options import ScmOptions
from tests.gitrepos import SPEC, commit, git, make_repo, package_files, url
from tests.scm.servers import silent


def _problems(requests: list[ComponentRequest], options: ScmOptions) -> tuple[Problem, ...]:
    with pytest.raises(Unprocessable) as caught:
        verify_components(requests, options)
    assert caught.value.code == "components_unavailable"
    return caught.value.problems


def test_answers_the_commit_and_the_spec_of_every_component(tmp_path: Path, options: ScmOptions) -> None:
    one = make_repo(tmp_path / "one", package_files("one"))
    two = make_repo(tmp_path / "two", package_files("two"), branch="f28")
    commit(tmp_path / "two", {"later": "x"})
    verified = verify_components(
        [
            ComponentRequest("two", url(tmp_path / "two"), two[:10]),
            ComponentRequest("one", url(tmp_path / "one")),
            ComponentRequest("also", url(tmp_path / "one"), "master"),
        ],
        options,
    )
    assert [(it.package, it.commit, it.spec.name) for it in verified] == [
        ("two", two, "two"),
        ("one", one, "one"),
        ("also", one, "one"),
    ]
    assert verified[1].ref == "master"
    assert verified[1].source == f"{url(tmp_path / 'one')}#{one}"


def test_reports_all_problems_of_all_components_together(tmp_path: Path, options: ScmOptions) -> None:
    repositories: dict[str, dict[str, str | bytes]] = {
        "good": package_files("good"),
        "noref": package_files("noref"),
        "nospec": {"README": "x"},
        "retired": {"dead.package": "x"},
        "twospecs": package_files("twospecs", **{"other.spec": "x"}),
        "badspec": package_files("badspec", **{"badspec.spec": "%if 1\nName: x\n"}),
        "noname": package_files("noname", **{"noname.spec": "Version: 1\nRelease: 1\n"}),
        "nosource": package_files("nosource", sources=""),
        "twomissing": {"twomissing.spec": "Patch0: gone.patch\n" + SPEC.format(name="twomissing")},
        "hugespec": package_files("hugespec", **{"hugespec.spec": b"#" * 10_001}),
    }
    for name, files in repositories.items():
        make_repo(tmp_path / name, files)
    requests = [
        ComponentRequest(name, url(tmp_path / name), "f99" if name == "noref" else "")
        for name in repositories
    ]
    requests += [
        ComponentRequest("nowhere", url(tmp_path / "nowhere")),
        ComponentRequest("option", "--upload-pack=touch x"),
        ComponentRequest("ext", "ext::sh -c touch% x"),
        ComponentRequest("dash", url(tmp_path / "good"), "--upload-pack=x"),
    ]
    problems = _problems(requests, replace(options, max_spec=10_000))
    assert [(problem.component, problem.code) for problem in problems] == [
        ("noref", "ref_unknown"),
        ("nospec", "no_spec"),
        ("retired", "no_spec"),
        ("twospecs", "two_specs"),
        ("badspec", "spec_invalid"),
        ("noname", "spec_incomplete"),
        ("nosource", "source_missing"),
        ("twomissing", "source_missing"),
        ("twomissing", "source_missing"),
        ("hugespec", "file_too_large"),
        ("nowhere", "repository_unreachable"),
        ("option", "repository_invalid"),
        ("ext", "repository_invalid"),
        ("dash", "ref_unknown"),
    ]
    assert all(problem.message and problem.hint for problem in problems)
    assert "other.spec" in problems[3].tried
    assert "retired" in problems[2].hint


def test_a_spec_bomb_does_not_hide_the_verdict_on_the_others(tmp_path: Path, options: ScmOptions) -> None:
    bomb = f"%global x %{{gsub {'a' * 40}b (a+)+$ x}}\nName: %x\n"
    make_repo(tmp_path / "bomb", {"bomb.spec": bomb})
    make_repo(tmp_path / "gone", package_files("gone", sources=""))
    make_repo(tmp_path / "good", package_files("good"))
    names = ["bomb", "gone", "good"]
    requests = [ComponentRequest(name, url(tmp_path / name)) for name in names]
    problems = _problems(requests, replace(options, spec_cpu=1))
    assert [(problem.component, problem.code) for problem in problems] == [
        ("bomb", "spec_over_bounds"),
        ("gone", "source_missing"),
    ]


def test_doubts_are_warnings(tmp_path: Path, options: ScmOptions) -> None:
    files = package_files("odd")
    files["odd.spec"] = "Source1: %{forgesource}\n%if 1\nSource2: maybe\n%endif\n" + str(files["odd.spec"])
    make_repo(tmp_path / "odd", files)
    (verified,) = verify_components([ComponentRequest("odd", url(tmp_path / "odd"))], options)
    assert len(verified.warnings) == 2


def test_a_release_without_dist_is_a_warning_or_a_fault(tmp_path: Path, options: ScmOptions) -> None:
    files = package_files("plain")
    files["plain.spec"] = str(files["plain.spec"]).replace("%{?dist}", "")
    make_repo(tmp_path / "plain", files)
    requests = [ComponentRequest("plain", url(tmp_path / "plain"))]
    (verified,) = verify_components(requests, options)
    assert "Write 'Release: 1%{?dist}'" in verified.warnings[0]
    (problem,) = _problems(requests, replace(options, needs_dist=True))
    assert (problem.component, problem.code) == ("plain", "no_dist_tag")
    assert "plain.spec" in problem.message


def test_the_spec_file_may_lie_in_the_layout_of_centos(tmp_path: Path, options: ScmOptions) -> None:
    files = package_files("foo")
    make_repo(
        tmp_path / "foo",
        {"SPECS/foo.spec": files["foo.spec"], ".foo.metadata": f"{'a' * 40} SOURCES/foo-1.0.tar.gz\n"},
    )
    (verified,) = verify_components([ComponentRequest("foo", url(tmp_path / "foo"))], options)
    assert verified.spec.name == "foo"


@pytest.mark.parametrize("name", ["a\nb.spec", "a\x1b[2Jb.spec", "a\udcff.spec", "a\u202eb.spec"])
def test_the_name_of_a_spec_file_is_printable(tmp_path: Path, options: ScmOptions, name: str) -> None:
    make_repo(tmp_path / "foo", {name: package_files("foo")["foo.spec"]})
    (problem,) = _problems([ComponentRequest("foo", url(tmp_path / "foo"))], options)
    assert problem.code == "spec_invalid"
    assert problem.message.isprintable()


def test_components_come_from_allowed_places_only(tmp_path: Path, options: ScmOptions) -> None:
    make_repo(tmp_path / "rpms" / "in", package_files("in"))
    make_repo(tmp_path / "secret" / "out", package_files("out"))
    options = replace(options, component_prefixes=(url(tmp_path / "rpms") + "/",))
    requests = [ComponentRequest(name, url(tmp_path / name)) for name in ("rpms/in", "secret/out")]
    problems = _problems(requests, options)
    assert [(problem.component, problem.code) for problem in problems] == [
        ("secret/out", "repository_not_allowed")
    ]
    assert verify_components(requests[:1], options)


def test_a_submodule_is_no_source(tmp_path: Path, options: ScmOptions) -> None:
    make_repo(tmp_path / "foo", package_files("foo", sources=""))
    git(tmp_path / "foo", "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},foo-1.0.tar.gz")
    git(tmp_path / "foo", "commit", "--quiet", "--message=x")
    problems = _problems([ComponentRequest("foo", url(tmp_path / "foo"))], options)
    assert [problem.code for problem in problems] == ["source_missing"]


def test_servers_that_never_answer_cannot_hold_a_submission(options: ScmOptions) -> None:
    started = time.monotonic()
    with silent() as port:
        requests = [ComponentRequest(f"p{i}", f"git://127.0.0.1:{port}/p{i}") for i in range(4)]
        problems = _problems(requests, replace(options, workers=2, timeout=300, deadline=1))
    assert [problem.code for problem in problems] == ["repository_too_slow"] * 2 + ["out_of_time"] * 2
    assert time.monotonic() - started < 60  # not the 300 seconds of one


def test_no_components_are_no_problem(options: ScmOptions) -> None:
    assert verify_components([], options) == []


def test_more_components_than_workers_are_verified(tmp_path: Path, options: ScmOptions) -> None:
    requests = []
    for name in (f"package{i}" for i in range(20)):
        make_repo(tmp_path / name, package_files(name))
        requests.append(ComponentRequest(name, url(tmp_path / name)))
    assert len(verify_components(requests, options)) == 20
