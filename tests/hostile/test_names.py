"""Names that a tag, an NVR, a macro or a command line would misread are refused at every entry point."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from builds.services.module_import import import_module
from builds.services.rebuild import rebuild
from builds.services.submission import SubmissionRequest, submit
from mbs import names
from mbs.errors import InvalidInput, MBSError, Unprocessable
from mbs.modulemd import check_names, examine, upgrade
from tests.builds.conftest import Forge, document, everything
from tests.factories import base_module
from tests.gitrepos import git, make_repo, url

RUNS = "%(touch /tmp/mbs-ran)"
BAD = [
    RUNS,
    "%%(id)",
    "a b",
    "a/b",
    "-a",
    ".a",
    "+a",
    "a..b",
    "a\u00e9",
    "a:b",
    "a%b",
    "a\u0085b",
    "$(id)",
    "x" * 300,
]
GOOD = [
    "5.30",
    "rhel8",
    "f29",
    "el8.6.0",
    "1.0-beta",
    "10.3",
    "gtk+3",
    "perl-Test-Simple",
    "_x",
    "0",
    "A.b_c+d-e",
]


@pytest.mark.parametrize("name", GOOD)
def test_real_names_and_streams_are_taken(name: str) -> None:
    assert names.NAME.fits(name)
    assert names.STREAM.fits(name)


@pytest.mark.parametrize("name", ["", "a\n", *BAD])
def test_no_rule_takes_what_would_be_misread(name: str) -> None:
    for rule in (names.NAME, names.STREAM, names.CONTEXT, names.ARCH, names.MARKING):
        assert not rule.fits(name)
        assert rule.fault(name)


@pytest.mark.parametrize(
    "ref", ["a%b", "a(b", "a&b", "a!b", "a;b", "a|b", "$x", "`x", "a#b", "a\u00e9", "a.lock/b", "@{1"]
)
def test_a_ref_holds_nothing_that_a_shell_rpm_or_a_header_acts_on(ref: str) -> None:
    assert not names.REF.fits(ref)


def test_every_valid_real_document_keeps_its_names() -> None:
    folder = Path(__file__).parents[3] / "shared" / "data" / "modulemd"
    found = 0
    for path in sorted(folder.glob("*.yaml")):
        for part in re.split(rb"^---(?=\s)", path.read_bytes(), flags=re.MULTILINE):
            for verdict in examine(part, strict=False) if part.strip() else ():
                if verdict.document is not None:
                    check_names(upgrade(verdict.document))
                    found += 1
    if not found:
        pytest.skip("the shared documents are not here")


def refused(kind: type[MBSError], **values: Any) -> MBSError:
    """The refusal of a submission; nothing may have been recorded."""
    before = everything()
    with pytest.raises(kind) as caught:
        submit(SubmissionRequest(owner="anna", **values))
    assert everything() == before
    return caught.value


def keys(error: MBSError) -> set[str]:
    return {problem.key for problem in error.problems}


def yaml(text: str) -> str:
    """YAML writes any text so."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


PLACES = {
    "data.name": lambda bad: f"  name: {yaml(bad)}\n",
    "data.stream": lambda bad: f"  stream: {yaml(bad)}\n",
    "data.context": lambda bad: f"  context: {yaml(bad)}\n",
    "data.arch": lambda bad: f"  arch: {yaml(bad)}\n",
    "data.profiles": lambda bad: f"  profiles: {{{yaml(bad)}: {{rpms: [a]}}}}\n",
    "data.profiles.p.rpms": lambda bad: f"  profiles: {{p: {{rpms: [{yaml(bad)}]}}}}\n",
    "data.api.rpms": lambda bad: f"  api: {{rpms: [{yaml(bad)}]}}\n",
    "data.filter.rpms": lambda bad: f"  filter: {{rpms: [{yaml(bad)}]}}\n",
    "data.demodularized.rpms": lambda bad: f"  demodularized: {{rpms: [{yaml(bad)}]}}\n",
    "data.buildopts.rpms.whitelist": lambda bad: f"  buildopts: {{rpms: {{whitelist: [{yaml(bad)}]}}}}\n",
    "data.buildopts.arches": lambda bad: f"  buildopts: {{arches: [{yaml(bad)}]}}\n",
    "data.xmd.mbs_options.blocked_packages": lambda bad: (
        f"  xmd: {{mbs_options: {{blocked_packages: [{yaml(bad)}]}}}}\n"
    ),
    "data.xmd.mbs_options.contexts.c.requires.perl": lambda bad: (
        "  xmd: {mbs_options: {contexts: {c: {buildrequires: {platform: f40}, "
        f"requires: {{perl: {yaml('x' + bad)}}}}}}}}}}}\n"
    ),
}


@pytest.mark.parametrize("bad", [RUNS, "a b", "x" * 300])
@pytest.mark.parametrize("key", sorted(PLACES))
def test_a_document_with_such_a_name_is_refused_by_its_key(
    forge: Forge, sent: list[int], option: Callable[..., None], key: str, bad: str
) -> None:
    head = "" if key in ("data.name", "data.stream") else "  name: tiny\n  stream: '1'\n"
    other = {"data.name": "  stream: '1'\n", "data.stream": "  name: tiny\n"}.get(key, "")
    text = document({"alpha": ""}, more=head + other + PLACES[key](bad))
    error = refused(Unprocessable, modulemd=text)
    assert keys(error) == {key}, error.problems


@pytest.mark.parametrize(
    ("component", "key"),
    [
        ({RUNS: ""}, "data.components.rpms"),
        ({"alpha": f"name: '{RUNS}'"}, "data.components.rpms.alpha.name"),
        ({"alpha": f"ref: '{RUNS}'"}, "data.components.rpms.alpha.ref"),
        ({"alpha": "arches: ['x y']"}, "data.components.rpms.alpha.arches"),
        ({"alpha": f"multilib: ['{RUNS}']"}, "data.components.rpms.alpha.multilib"),
        ({"'../../x'": ""}, "data.components.rpms"),
    ],
)
def test_a_component_with_such_a_name_is_refused(
    forge: Forge, sent: list[int], component: dict[str, str], key: str
) -> None:
    parts = {f"'{name}'" if name == RUNS else name: keys for name, keys in component.items()}
    text = document(parts, more="  name: tiny\n  stream: '1'\n")
    error = refused(Unprocessable, modulemd=text)
    assert all(problem.key.startswith(key) for problem in error.problems)
    assert error.problems


@pytest.mark.parametrize(
    "dependencies",
    [
        f"{{platform: [f40], '{RUNS}': []}}",
        f"{{platform: [f40], x: ['{RUNS}']}}",
        f"{{platform: [f40], x: ['-{RUNS}']}}",
    ],
)
def test_a_requirement_with_such_a_name_is_refused(forge: Forge, sent: list[int], dependencies: str) -> None:
    text = document({"alpha": ""}, more="  name: tiny\n  stream: '1'\n")
    text = text.replace(
        "requires: {platform: [f40]}\n  components", f"requires: {dependencies}\n  components"
    )
    assert keys(refused(Unprocessable, modulemd=text))


def test_a_dependency_lists_a_bounded_number_of_streams(forge: Forge, sent: list[int]) -> None:
    many = ", ".join(f"f{number}" for number in range(5000))
    text = document({"alpha": ""}, platforms=f"[{many}]", more="  name: tiny\n  stream: '1'\n")
    assert refused(Unprocessable, modulemd=text).problems[0].code == "too_many_streams"


@pytest.mark.parametrize("bad", ["%(id)", "x" * 200, "a,b"])
def test_a_branch_becomes_a_stream_only_if_it_fits(forge: Forge, sent: list[int], bad: str) -> None:
    folder = forge.folder / "modules" / "tiny"
    revision = make_repo(folder, {"tiny.yaml": document({"alpha": ""})}, branch="main")
    git(folder, "update-ref", f"refs/heads/{bad}", revision)
    error = refused(MBSError, scmurl=f"{url(folder)}?#{revision}", branch=bad)
    assert error.code in {"branch_invalid", "invalid_stream"}


def test_a_repository_names_a_module_only_if_it_fits(forge: Forge, sent: list[int]) -> None:
    folder = forge.folder / "modules" / "%(id)"
    revision = make_repo(folder, {"%(id).yaml": document({"alpha": ""})}, branch="1")
    error = refused(MBSError, scmurl=f"{url(folder)}?#{revision}", branch="1")
    assert error.code in {"invalid_name", "scmurl_invalid"}


def test_an_included_module_is_held_to_the_same(forge: Forge, sent: list[int]) -> None:
    forge.module(
        "inner", document({"beta": ""}, more=f"  profiles: {{'{RUNS}': {{rpms: [a]}}}}\n"), branch="main"
    )
    text = document(
        {"alpha": ""}, more="    modules:\n      inner: {rationale: r}\n  name: tiny\n  stream: '1'\n"
    )
    assert keys(refused(Unprocessable, modulemd=text)) == {"data.profiles"}


REQUESTS: list[tuple[str, Any]] = [
    ("branch", RUNS),
    ("branch", "x" * 300),
    ("module_name", RUNS),
    ("module_name", "x" * 300),
    ("module_stream", RUNS),
    ("module_stream", "x" * 300),
    ("side_tag", RUNS),
    ("buildrequire_overrides", {RUNS: ["f40"]}),
    ("buildrequire_overrides", {"platform": [RUNS]}),
    ("buildrequire_overrides", {"platform": [f"f{number}" for number in range(5000)]}),
    ("buildrequire_overrides", {f"m{number}": [] for number in range(5000)}),
    ("require_overrides", {"platform": ["x" * 300]}),
    ("require_overrides", {"platform": ["-" + RUNS]}),
    ("rpm_component_ref_overrides", {RUNS: "main"}),
    ("rpm_component_ref_overrides", {"alpha": RUNS}),
    ("rpm_component_ref_overrides", {f"p{number}": "main" for number in range(10000)}),
    ("srpms", ["../../etc/passwd"]),
    ("srpms", ["cli-build/1/a.src.rpm"] * 2000),
]


@pytest.mark.parametrize(("key", "value"), REQUESTS)
def test_a_request_with_such_a_name_is_refused_by_its_key(
    forge: Forge, sent: list[int], key: str, value: Any
) -> None:
    text = document({"alpha": ""}, more="" if key.startswith("module_") else "  name: tiny\n  stream: '1'\n")
    assert keys(refused(InvalidInput, modulemd=text, scratch=True, **{key: value})) == {key}


def test_a_rebuild_is_held_to_the_same(forge: Forge, sent: list[int]) -> None:
    scmurl = forge.module("tiny", document({"alpha": ""}))
    (build,) = submit(SubmissionRequest(owner="anna", scmurl=scmurl, branch="1"))
    build.submission.request["rpm_component_ref_overrides"] = {"alpha": RUNS}
    build.submission.save()
    with pytest.raises(InvalidInput) as caught:
        rebuild(build, "anna")
    assert keys(caught.value) == {"rpm_component_ref_overrides"}


IMPORTED = """document: modulemd
version: 2
data:
  name: {name}
  stream: {stream}
  version: 5
  context: {context}
  summary: s
  description: d
  license: {{module: [MIT]}}
  xmd: {xmd}
"""


def imported(
    *, name: str = "platform", stream: str = "f40", context: str = "c0ffee00", xmd: str = "{}"
) -> str:
    return IMPORTED.format(name=yaml(name), stream=yaml(stream), context=yaml(context), xmd=xmd)


AGAINST = "{{mbs: {{buildrequires: {{platform: {{stream: f40, {}}}}}}}}}"
NOTES = [
    "{mbs: text}",
    "{mbs: [a]}",
    "{mbs: {disttag_marking: a b}}",
    "{mbs: {disttag_marking: '%(id)'}}",
    "{mbs: {disttag_marking: [el8]}}",
    "{mbs: {disttag_marking: " + "x" * 65 + "}}",
    "{mbs: {koji_tag: a b}}",
    "{mbs: {koji_tag: [a, b]}}",
    "{mbs: {koji_tag: {a: b}}}",
    "{mbs: {koji_tag: '%(id)'}}",
    "{mbs: {koji_tag: a/../b}}",
    "{mbs: {koji_tag: " + "x" * 300 + "}}",
    "{mbs: {koji_tag_arches: x86_64 aarch64}}",
    "{mbs: {koji_tag_arches: [x86 64]}}",
    "{mbs: {virtual_streams: [a b]}}",
    "{mbs: {virtual_streams: [" + "x" * 300 + "]}}",
    "{mbs: {commit: a b}}",
    "{mbs: {commit: " + "a" * 65 + "}}",
    "{mbs: {commit: [a]}}",
    "{mbs: {filtered_rpms: ['a%(id)']}}",
    "{mbs: {ursine_rpms: 'a b'}}",
    "{mbs: {rpms: [a]}}",
    "{mbs: {rpms: {'%(id)': {ref: a}}}}",
    "{mbs: {buildrequires: {'%(id)': {stream: f40}}}}",
    "{mbs: {buildrequires: {platform: {stream: '%(id)'}}}}",
    AGAINST.format("version: x"),
    AGAINST.format("context: a b"),
    AGAINST.format("koji_tag: a b"),
    AGAINST.format("koji_tag: [a]"),
    AGAINST.format("ref: [a]"),
    AGAINST.format("filtered_rpms: ['a b']"),
    AGAINST.format("ursine_rpms: {a: b}"),
    "{mbs_options: {blocked_packages: [a b]}}",
    "{mbs_options: {repo_include_all: [a]}}",
]


@pytest.mark.django_db
@pytest.mark.parametrize("xmd", NOTES)
def test_the_notes_of_an_imported_module_are_held_to_their_form(xmd: str, tmp_path: Path) -> None:
    base_module("f40")
    before = everything()
    name = "perl" if "buildrequires" in xmd else "platform"
    text = imported(name=name, stream="f41" if name == "platform" else "5", xmd=xmd)
    with pytest.raises(Unprocessable) as caught:
        import_module(text)
    assert caught.value.problems[0].key.startswith("data.xmd.mbs")
    (tmp_path / "module.yaml").write_text(text)
    with pytest.raises(CommandError, match=r"module\.yaml: .*data\.xmd\.mbs"):
        call_command("import_module", str(tmp_path / "module.yaml"))
    assert everything() == before


@pytest.mark.django_db
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("key", ["name", "stream", "context"])
def test_an_imported_module_is_named_plainly(key: str, bad: str) -> None:
    with pytest.raises(Unprocessable):
        import_module(imported(**{key: bad}))
    assert everything() == [0] * 5


@pytest.mark.parametrize(
    "mbs", ["disttag_marking: a b", "disttag_marking: [a]", "koji_tag_arches: [a b]", "koji_tag_arches: x"]
)
def test_a_privileged_module_is_held_to_the_same_notes(
    forge: Forge, sent: list[int], option: Callable[..., None], mbs: str
) -> None:
    option(ALLOWED_PRIVILEGED_MODULE_NAMES=("tiny",))
    text = document({"alpha": ""}, more=f"  name: tiny\n  stream: '1'\n  xmd: {{mbs: {{{mbs}}}}}\n")
    assert refused(Unprocessable, modulemd=text).problems[0].key.startswith("data.xmd.mbs.")
