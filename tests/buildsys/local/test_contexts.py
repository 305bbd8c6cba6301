"""Several contexts of a stream in one repository: dnf never mixes their packages."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from buildsys.base import Module, Result
from buildsys.delivery import LeftOut
from buildsys.local import streams
from buildsys.local.contexts import separate
from buildsys.local.folders import write_atomically
from mbs.modulemd import StreamV2, parse_stream
from tests.buildsys.local.repositories import WITH_DNF, dnf, names, repository
from tests.buildsys.packages import DOCUMENT, Bench, module, spec

EL9 = {"stream": "el9", "koji_tag": "module-el9"}
Requires = Mapping[str, Sequence[str]]


def lower(stream: str, number: int) -> Module:
    """A build of the module ``lower``, which contains the package ``low``."""
    own = f"{number:08x}"
    text = DOCUMENT.replace("name: tiny", "name: lower").replace('stream: "1"', f'stream: "{stream}"')
    text = text.replace("rpms: [one]", "rpms: [low]").replace("c0ffee12", own)
    return module(
        id=number,
        name="lower",
        stream=stream,
        context=own,
        tag=f"module-lower-{stream}-92026-{own}",
        disttag=f"module+el9+{number}+{own}",
        modulemd=text[: text.index("      one: {")] + "      low: {rationale: r}\n",
    )


def built_against(stream: str, number: int, requires: Requires, version: int = 92026) -> Module:
    """A build of ``tiny`` against a stream of ``lower``. The context depends on that stream only."""
    own = f"{int(stream):08x}"
    text = (
        DOCUMENT.replace("c0ffee12", own)
        .replace("92026", str(version))
        .replace("    requires: {platform: [el9]}", f"    requires: {dict(platform=['el9'], **requires)}")
    )
    return module(
        id=number,
        context=own,
        version=str(version),
        tag=f"module-tiny-1-{version}-{own}",
        disttag=f"module+el9+{number}+{own}",
        modulemd=text,
        buildrequires={
            "platform": EL9,
            "lower": {"stream": stream, "koji_tag": f"module-lower-{stream}-92026-0000000{stream}"},
        },
    )


def finish(root: Path, built: Module, package: str = "one", head: str = "") -> Result:
    bench = Bench(root, module=built, base_url="")
    nvr = bench.complete(bench.job(built.id, package, spec(package, head=head, of=built)))
    return bench.system.finalize(built, {package: nvr})


@WITH_DNF
def test_dnf_installs_and_updates_the_context_for_the_enabled_stream_of_a_requirement(tmp_path: Path) -> None:
    root, scratch, repos = tmp_path / "local", tmp_path / "root", tmp_path / "repos"
    repos.mkdir()
    lowers = [lower("1", 1), lower("2", 2)]
    for each in lowers:
        finish(root, each, "low")
        shutil.copy(repository(root, "lower", each.stream).repo_file, repos)
    # The other context has the higher release, which dnf would prefer.
    builds = [built_against(each, 10 + int(each), {"lower": [each]}) for each in ("1", "2")]
    later = [built_against(each, 20 + int(each), {"lower": [each]}, 92027) for each in ("1", "2")]
    for each in builds:
        finish(root, each, head="Requires: low")
    shutil.copy(repository(root).repo_file, repos)
    hosts = [root / "modules" / each.tag / "host" for each in (*lowers, *builds)]
    dnf(scratch, repos, hosts, "module", "enable", "lower:1")
    dnf(scratch, repos, hosts, "module", "install", "tiny:1/default")
    installed = dnf(scratch, repos, hosts, "list", "--installed", "one", "low")
    assert f".{builds[0].disttag} " in installed
    assert f".{lowers[0].disttag} " in installed
    for each in later:
        finish(root, each, head="Requires: low")
        hosts.append(root / "modules" / each.tag / "host")
    dnf(scratch, repos, hosts, "update")
    assert f".{later[0].disttag} " in dnf(scratch, repos, hosts, "list", "--installed", "one")


def test_of_contexts_that_dnf_would_mix_one_is_in_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "local"
    first, second = (built_against(each, 10 + int(each), {}) for each in ("1", "2"))
    results = [finish(root, each) for each in (first, second)]
    folder = repository(root)
    assert names(folder.repo) == [f"one-1-1.{first.disttag}.noarch.rpm"]
    assert folder.builds() == [second.tag, first.tag]
    assert results[0].delivery.install
    own = root / "modules" / second.tag / "repo"
    assert (results[1].delivery.repository_url, results[1].delivery.install) == (own.as_uri(), ())
    system = Bench(root, module=second, base_url="").system
    assert system.left_out(second) == LeftOut(own.as_uri(), instead=first.tag)
    assert system.left_out(first) is None
    assert names(own) == [f"one-1-1.{second.disttag}.noarch.rpm"]
    system.withdraw(first)
    assert system.left_out(second) is None
    assert names(folder.repo) == [f"one-1-1.{second.disttag}.noarch.rpm"]


@pytest.mark.parametrize("written", [0, 1])
def test_a_context_is_left_out_also_if_the_process_dies_while_it_makes_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    root = tmp_path / "local"
    first, second = (built_against(each, 10 + int(each), {}) for each in ("1", "2"))
    finish(root, first)
    bench = Bench(root, module=second, base_url="")
    nvr = bench.complete(bench.job(second.id, "one", spec("one", of=second)))
    count = 0

    def dying(path: Path, text: str) -> None:
        nonlocal count
        if count == written:
            exit()
        count += 1
        write_atomically(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(streams, "write_atomically", dying)
        with pytest.raises(SystemExit):
            bench.system.finalize(second, {"one": nvr})
    assert bench.system.finalize(second, {"one": nvr}).delivery.install == ()
    out = bench.system.left_out(second)
    assert out is not None
    assert out.instead == first.tag
    assert repository(root).builds() == [second.tag, first.tag]


def test_a_later_version_replaces_the_context_that_dnf_would_mix_with_it(tmp_path: Path) -> None:
    root = tmp_path / "local"
    first, later = built_against("1", 11, {}), built_against("2", 12, {}, 92027)
    for each in (first, later):
        assert finish(root, each).delivery.install
    system = Bench(root, module=first, base_url="").system
    assert system.left_out(later) is None
    out = system.left_out(first)
    assert out is not None
    assert out.instead == later.tag
    assert names(repository(root).repo) == [f"one-1-1.{later.disttag}.noarch.rpm"]


def document(context: str, version: int, *requires: Requires) -> StreamV2:
    found = parse_stream(DOCUMENT.replace("c0ffee12", context).replace("92026", str(version)), strict=False)
    (one,) = found.dependencies
    found.dependencies = [replace(one, requires={k: list(v) for k, v in each.items()}) for each in requires]
    return found


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (({"a": ["1"]},), ({"a": ["2"]},), [None, None]),
        (({"a": ["1"]},), ({"a": ["1"]},), [1, None]),
        (({"a": ["1", "2"]},), ({"a": ["2", "3"]},), [1, None]),
        (({"a": ["1"]},), ({"b": ["2"]},), [1, None]),
        (({"a": []},), ({"a": ["2"]},), [1, None]),
        (({"a": ["-1"]},), ({"a": ["1"]},), [None, None]),
        (({"a": ["2"]},), ({"a": ["-1"]},), [1, None]),
        (({"a": ["-1"]},), ({"a": ["-2"]},), [1, None]),
        (({"a": ["1"], "b": ["1"]},), ({"a": ["1"], "b": ["2"]},), [None, None]),
        (({"a": ["1"]}, {"a": ["2"]}), ({"a": ["2"]},), [1, None]),
        ((), ({"a": ["2"]},), [1, None]),
    ],
)
def test_contexts_are_separated_by_their_run_time_requirements(
    one: Sequence[Requires], other: Sequence[Requires], expected: list[int | None]
) -> None:
    assert separate([document("c1", 1, *one), document("c2", 1, *other)]) == expected


def test_all_versions_of_a_context_belong_together() -> None:
    builds = [document(context, version, {}) for context, version in (("c2", 2), ("c1", 3), ("c1", 1))]
    assert separate(builds) == [1, None, None]
