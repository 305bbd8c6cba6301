"""Which builds a local build starts, continues or finds, by the answers of its service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mbs.client.local.beginning import begin, narrowed
from mbs.client.rest import Refused
from mbs.states import BuildState

SCMURL = "file:///data/source/quiet?#" + "a" * 40
BODY = {"scmurl": SCMURL, "branch": "1"}
DOCUMENT = """\
document: modulemd
version: 2
data:
  name: quiet
  stream: "1"
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  xmd: {{mbs: {{rpms: {{one: {{ref: {ref}}}}}}}}}
"""


class Service:
    """The answers of a service that knows some builds of the document, and what it was asked to do."""

    def __init__(self, *states: BuildState, ref: str = "1" * 40, code: str = "") -> None:
        self.known = [
            {"id": number, "context": f"c{number}", "version": "1", "state": state, "scmurl": SCMURL}
            for number, state in enumerate(states, 1)
        ]
        self.ref = ref
        self.code = code
        self.done: list[tuple[str, object]] = []

    def _planned(self, action: str) -> dict[str, Any]:
        component = {"package": "one", "ref": self.ref}
        return {
            "builds": [
                {
                    "action": action,
                    "context": build["context"],
                    "batches": [{"components": [component]}],
                    "buildrequires": {"perl": f"5.{build['id']}:1:c", "platform": "el9:1:0"},
                }
                for build in self.known or [{"id": 1, "context": "c1"}]
            ]
        }

    def plan(self, body: Mapping[str, object]) -> dict[str, Any]:
        if self.code:
            raise Refused(409, "It was submitted differently.", code=self.code)
        return self._planned("keep" if self.known else "build")

    def plan_rebuild(self, build_id: int, body: Mapping[str, object]) -> dict[str, Any]:
        return self._planned("build")

    def builds(self, params: object, *, limit: int) -> Iterator[dict[str, Any]]:
        yield {"id": 99, "context": "c1", "version": "9", "state": 5, "scmurl": None}
        yield from self.known

    def build(self, build_id: int, *, verbose: bool = False) -> dict[str, Any]:
        return {"modulemd": DOCUMENT.format(ref="1" * 40)}

    def submit(self, body: Mapping[str, object]) -> list[dict[str, Any]]:
        self.done.append(("submit", body["scmurl"]))
        return [{"id": 7}]

    def rebuild(self, build_id: int, body: Mapping[str, object]) -> list[dict[str, Any]]:
        self.done.append(("rebuild", body["rebuild_strategy"]))
        return [{"id": 8}]

    def retry(self, build_id: int) -> None:
        self.done.append(("retry", build_id))

    def cancel(self, build_id: int) -> None:
        self.done.append(("cancel", build_id))


def test_a_new_document_is_submitted() -> None:
    service = Service()
    assert begin(service, BODY) == [7]
    assert service.done == [("submit", SCMURL)]


def test_ready_and_active_builds_are_only_watched() -> None:
    service = Service(BuildState.READY, BuildState.BUILD)
    assert begin(service, BODY) == [1, 2]
    assert service.done == []


def test_failed_builds_are_continued() -> None:
    service = Service(BuildState.READY, BuildState.FAILED)
    assert begin(service, BODY) == [1, 2]
    assert service.done == [("retry", 2)]


@pytest.mark.parametrize("code", ["", "submitted_differently"])
def test_components_with_new_commits_are_built_as_a_new_version(code: str) -> None:
    service = Service(BuildState.READY, BuildState.BUILD, ref="2" * 40, code=code)
    assert begin(service, BODY) == [8]
    assert service.done == [("cancel", 2), ("rebuild", "changed-and-after")]


def test_everything_is_built_again_on_request() -> None:
    service = Service(BuildState.READY)
    assert begin(service, BODY, again=True) == [8]
    assert service.done == [("rebuild", "all")]


def test_faults_of_the_document_are_refusals() -> None:
    with pytest.raises(Refused):
        begin(Service(code="no_name"), BODY)
    with pytest.raises(Refused):
        narrowed(Service(code="no_name"), BODY, lambda name, streams: "")


def test_the_user_chooses_where_an_expansion_has_several_streams() -> None:
    asked = []

    def ask(name: str, streams: object) -> str:
        asked.append((name, streams))
        return "5.2"

    service = Service(BuildState.READY, BuildState.READY)
    assert narrowed(service, BODY, None) == BODY
    body = narrowed(service, BODY, ask)
    assert asked == [("perl", ["5.1", "5.2"])]
    assert body["buildrequire_overrides"] == {"perl": ["5.2"]}
    assert narrowed(service, body, ask) == body
    assert narrowed(service, BODY, lambda name, streams: "") == BODY
