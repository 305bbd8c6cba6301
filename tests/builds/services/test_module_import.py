"""Imports of modules that were built elsewhere: recorded rows and refusals."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from builds.models import ModuleBuild
from builds.selectors.universe import DatabaseUniverse
from builds.services.module_import import import_module
from mbs.contexts import build_context
from mbs.errors import Unprocessable
from mbs.modulemd import parse_stream
from mbs.states import BuildState
from tests.builds.conftest import everything
from tests.factories import base_module, module_build

pytestmark = pytest.mark.django_db

DOCUMENT = """document: modulemd
version: 2
data:
  name: {name}
  stream: "{stream}"
  version: 5
  {context}
  summary: A module
  description: A module.
  license: {{module: [MIT]}}
  {dependencies}
  xmd: {xmd}
"""
AGAINST = '{platform: {stream: f40, version: "3", context: "00000000", ref: abc, koji_tag: f40-build}}'
ON_F40 = "dependencies: [{buildrequires: {platform: [f40]}, requires: {platform: [f40], perl: []}}]"


def document(
    name: str = "perl",
    stream: str = "5.30",
    context: str = "context: c0ffee00",
    dependencies: str = ON_F40,
    mbs: str = f"buildrequires: {AGAINST}, koji_tag: module-perl",
) -> str:
    xmd = f"{{mbs: {{{mbs}}}}}" if mbs else "{}"
    return DOCUMENT.format(name=name, stream=stream, context=context, dependencies=dependencies, xmd=xmd)


def base(stream: str = "f40", mbs: str = "koji_tag: f40-build") -> str:
    return document("platform", stream, "", "", mbs)


def code(text: str) -> str:
    """The code of the refusal; nothing may have been recorded."""
    before = everything()
    with pytest.raises(Unprocessable) as caught:
        import_module(text)
    assert everything() == before
    return caught.value.code


def test_a_base_module_is_ready_at_once() -> None:
    build, messages = import_module(base(mbs="virtual_streams: [fedora, f], koji_tag: f40-build"))
    assert (str(build.nsvc), build.state, build.owner) == (
        "platform:f40:5:00000000",
        BuildState.READY,
        "mbs_import",
    )
    assert (build.rebuild_strategy, build.koji_tag, build.stream_version) == ("all", "f40-build", 400000.0)
    assert {each.name for each in build.virtual_streams.all()} == {"fedora", "f"}
    assert messages == ["Module platform:f40:5:00000000 imported."]
    assert [trace.state for trace in build.state_trace.all()] == [BuildState.READY]
    (message,) = build.outbox.all()
    assert message.body["state_name"] == "ready"


def test_a_module_is_linked_to_what_it_was_built_against() -> None:
    platform = base_module("f40")
    build, _ = import_module(document())
    assert build.required_modules.get() == platform
    assert build.build_context == build_context({"platform": {"stream": "f40"}})
    assert build.requires == [{"platform": ["f40"], "perl": []}]
    assert parse_stream(build.modulemd, strict=False).mbs["buildrequires"]["platform"]["ref"] == "abc"
    (found,) = DatabaseUniverse().candidates([("perl", "5.30")], [("platform", "f40")])
    assert found.nsvc == build.nsvc


def test_other_buildrequires_need_not_be_known() -> None:
    base_module("f40")
    other = '{platform: {stream: f40}, ruby: {stream: "3", version: "1", context: c}}'
    build, messages = import_module(document(mbs=f"buildrequires: {other}"))
    assert build.buildrequires["ruby"] == {"stream": "3", "version": "1", "context": "c"}
    assert [each.name for each in build.required_modules.all()] == ["platform"]
    assert "It was built against ruby:3:1:c, which is not known to this service." in messages


def test_importing_again_brings_a_module_up_to_date() -> None:
    first, _ = import_module(base(mbs="virtual_streams: [a, b], koji_tag: one"))
    again, messages = import_module(base(mbs="virtual_streams: [b, c], koji_tag: two"))
    assert again.pk == first.pk
    assert again.koji_tag == "two"
    assert {each.name for each in again.virtual_streams.all()} == {"b", "c"}
    assert any("known" in message for message in messages)
    assert ModuleBuild.objects.count() == 1


@pytest.mark.parametrize("state", list(BuildState))
def test_a_build_of_this_name_becomes_ready_whatever_it_was(state: BuildState) -> None:
    base_module("f40")
    known = module_build(
        name="perl",
        stream="5.30",
        version="5",
        context="c0ffee00",
        state=state,
        error_code="component_failed",
        state_reason="it failed",
    )
    build, _ = import_module(document())
    build.refresh_from_db()
    assert (build.pk, build.state, build.state_reason, build.error_code) == (
        known.pk,
        BuildState.READY,
        None,
        "",
    )


def test_a_context_of_its_own_is_kept_and_one_is_given_where_there_is_none() -> None:
    base_module("f40")
    assert import_module(document())[0].context == "c0ffee00"
    assert import_module(document(context=""))[0].context == "00000000"


def test_an_import_without_a_tag_warns_that_it_has_no_packages() -> None:
    build, messages = import_module(base(mbs=""))
    assert build.koji_tag is None
    assert any("koji_tag" in message for message in messages)


@pytest.mark.parametrize("key", ["name", "stream", "version"])
def test_a_document_must_name_the_module(key: str) -> None:
    lines = [line for line in base().splitlines() if not line.startswith(f"  {key}:")]
    assert code("\n".join(lines)) == "incomplete_nsvc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (base(mbs="disttag_marking: a-b"), "invalid_disttag_marking"),
        (base(mbs="disttag_marking: [a]"), "invalid_disttag_marking"),
        (base("f-40"), "dash_in_base_stream"),
        (base(mbs="virtual_streams: text"), "invalid_virtual_streams"),
        (base(mbs="virtual_streams: [{a: b}]"), "invalid_virtual_streams"),
        (document(mbs=""), "missing_buildrequires"),
        (document(mbs="buildrequires: {}"), "missing_buildrequires"),
        (document(mbs="buildrequires: [platform]"), "invalid_buildrequires"),
        (document(mbs="buildrequires: {platform: f40}"), "invalid_buildrequires"),
        (document(mbs="buildrequires: {platform: {version: '1'}}"), "invalid_buildrequires"),
        (document(mbs="buildrequires: {platform: {stream: f99}}"), "unknown_buildrequire"),
        (
            document(
                dependencies="dependencies: [{buildrequires: {platform: []}}, {requires: {platform: []}}]"
            ),
            "several_dependencies",
        ),
        ("document: modulemd\nversion: 2\n", "no_data"),
    ],
)
def test_a_document_that_cannot_be_imported_is_refused(text: str, expected: str) -> None:
    base_module("f40")
    assert code(text) == expected


def test_a_stream_with_a_dash_needs_a_marking() -> None:
    build, _ = import_module(base("f-40", "disttag_marking: f40"))
    assert (build.stream, build.disttag_marking) == ("f-40", "f40")


def test_other_modules_may_have_dashes_in_their_streams() -> None:
    base_module("f40")
    assert import_module(document(stream="a-b"))[0].stream == "a-b"


def test_suffixes_of_streams_count_in_their_versions(option: Callable[..., Any]) -> None:
    option(STREAM_SUFFIXES={r".*\.z$": 0.1})
    assert import_module(base("el8.2.0.z"))[0].stream_version == pytest.approx(80200.1)


def test_one_process_makes_the_tables_and_imports_files_in_their_order(tmp_path: Path) -> None:
    files = tmp_path / "platform.yaml", tmp_path / "perl.yaml"
    files[0].write_text(base().replace("version: 5", "version: 3"))
    files[1].write_text(document())
    said = StringIO()
    call_command("prepare", *map(str, files), verbosity=0, stdout=said)
    assert [build.name for build in ModuleBuild.objects.order_by("id")] == ["platform", "perl"]
    assert "Module perl:5.30:5:c0ffee00 imported." in said.getvalue()


def test_file_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "perl.yaml").write_text(document())
    with pytest.raises(CommandError, match=r"perl\.yaml: .* not known to this service\. Import platform"):
        call_command("import_module", str(tmp_path / "perl.yaml"))
    with pytest.raises(CommandError, match=r"nothing\.yaml cannot be read"):
        call_command("import_module", str(tmp_path / "nothing.yaml"))
