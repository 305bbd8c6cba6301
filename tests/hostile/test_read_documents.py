"""Invalid documents of repositories and of other services are skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from builds.resolvers import RemoteUniverse, RepositoryUniverse
from mbs.client.rest import Client
from mbs.modulemd import examine

DOCUMENT = """---
document: modulemd
version: 2
data:
  name: perl
  stream: "{stream}"
  version: 1
  context: "{context}"
  summary: s
  description: d
  license: {{module: [MIT]}}
  xmd: {{mbs: {{koji_tag: "{tag}", disttag_marking: "{marking}"}}}}
...
"""


def document(stream: str = "1", context: str = "c", tag: str = "t", marking: str = "") -> str:
    return DOCUMENT.format(stream=stream, context=context, tag=tag, marking=marking)


BAD = [
    document(stream="%(id)"),
    document(stream="a b"),
    document(context="../x"),
    document(tag="a b"),
    document(marking="%(id)"),
]


def test_any_name_can_be_read() -> None:
    for text in BAD:
        assert all(verdict.ok for verdict in examine(text, strict=False))


def test_a_repository_is_read_past_what_cannot_be_built_against(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "modules.yaml").write_text("".join(BAD) + document() + "---\n[perl, name: perl]\n")
    universe = RepositoryUniverse([str(tmp_path)])
    assert universe.streams(["perl"]) == {"perl": ["1"]}
    assert caplog.text.count("ignored") >= len(BAD)


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": "perl",
        "stream": "1",
        "version": "1",
        "state_name": "ready",
        "modulemd": document(),
        "koji_tag": "t",
        **changes,
    }


ROWS = [
    *(row(n, modulemd=text) for n, text in enumerate(BAD) if "a b" not in text or 'stream: "a b' in text),
    *(row(20 + n, modulemd=text) for n, text in enumerate(["", "\0", "- a", "[" * 500, document() * 2])),
    row(30, modulemd=5),
    row(31, koji_tag="a b"),
    row(32, koji_tag=["a"]),
    row(33, version="one"),
    row(34, version=1),
    row(35, version="9" * 30),
    row(36, name=["perl"]),
    row(37, stream={"a": 1}),
    row(38, id="x"),
    row(39, state_name=None),
]


def universe(rows: list[dict[str, Any]]) -> RemoteUniverse:
    answer = httpx.Response(200, json={"items": rows, "meta": {"next": None}})
    return RemoteUniverse(Client("http://127.0.0.1:1", transport=httpx.MockTransport(lambda _: answer)))


@pytest.mark.parametrize("bad", ROWS, ids=lambda bad: str(bad["id"]))
def test_another_service_is_read_past_what_cannot_be_built_against(bad: dict[str, Any], caplog: Any) -> None:
    asked = universe([bad, row(100)])
    assert [str(each.nsvc) for each in asked.base_modules(["perl"])] in ([], ["perl:1:1:c"])
    assert "1" in asked.streams(["perl"])["perl"]
    found = asked.candidates([("perl", "1")], [("platform", "f40")])
    assert {str(each.nsvc) for each in found} <= {"perl:1:1:c"}
    assert "ignored" in caplog.text
