"""Final documents of builds, and imports of modules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from builds.models import ModuleBuild
from builds.services import documents
from buildsys.recorded import FinalDocuments
from mbs.states import BuildState
from scm.modules import ModuleSource
from tests.builds.rest import Api
from tests.factories import module_build

PLATFORM = """
document: modulemd
version: 2
data:
  name: platform
  stream: f40
  version: 3
  context: "00000000"
  summary: A base module
  description: A base module
  license: {module: [MIT]}
"""


def test_final_documents_are_answered_by_architecture(api: Api) -> None:
    build = module_build(state=BuildState.READY)
    documents.store(build, FinalDocuments({"x86_64": "one", "src": "two"}))
    documents.store(build, FinalDocuments({"x86_64": "three"}))
    assert api.get(f"final-modulemd/{build.pk}") == {"src": "two", "x86_64": "three"}


@pytest.mark.parametrize(("state", "status"), [(BuildState.BUILD, 404), (BuildState.READY, 501)])
def test_a_build_without_final_documents_is_refused_with_the_reason(
    api: Api, state: BuildState, status: int
) -> None:
    build = module_build(state=state)
    assert api.get(f"final-modulemd/{build.pk}", status=status)["code"] == "no_final_modulemd"


def test_final_documents_of_no_build_are_not_found(api: Api) -> None:
    api.get("final-modulemd/99999999999999999999", status=404)
    assert api.get("final-modulemd/7", status=404)["code"] == "no_such_module_build"


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git holds the document of a base module, wherever one looks."""

    def fetch(scmurl: str, branch: str, options: Any) -> ModuleSource:
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        return ModuleSource(
            PLATFORM, "a" * 40, moment, "platform", "https://git.example.com/x", "platform.yaml"
        )

    monkeypatch.setattr("builds.services.submission.patience.fetch_modulemd", fetch)


def test_a_module_is_imported(api: Api, repository: None, option: Callable[..., None]) -> None:
    option(ALLOWED_GROUPS_TO_IMPORT_MODULE=frozenset({"importers"}))
    answer = api.post("import-module/", {"scmurl": "https://git.example.com/x?#a"})
    assert answer["module"]["name"] == "platform"
    assert answer["messages"]
    assert ModuleBuild.objects.get().state == BuildState.READY


def test_a_module_is_imported_by_its_document(api: Api, option: Callable[..., None]) -> None:
    option(ALLOWED_GROUPS_TO_IMPORT_MODULE=frozenset({"importers"}))
    answer = api.post("import-module/", {"modulemd": PLATFORM})
    assert answer["module"]["name"] == "platform"
    assert ModuleBuild.objects.get().state == BuildState.READY


@pytest.mark.parametrize(
    ("options", "body", "status"),
    [
        ({}, {"scmurl": "u"}, 403),
        ({}, {"modulemd": PLATFORM}, 403),
        (
            {"ALLOWED_GROUPS_TO_IMPORT_MODULE": frozenset({"i"}), "YAML_SUBMIT_ALLOWED": False},
            {"modulemd": PLATFORM},
            403,
        ),
        ({"ALLOWED_GROUPS_TO_IMPORT_MODULE": frozenset({"i"})}, {"modulemd": PLATFORM, "scmurl": "u"}, 400),
        ({"ALLOWED_GROUPS_TO_IMPORT_MODULE": frozenset({"i"})}, {"modulemd": "no: module"}, 422),
        ({"ALLOWED_GROUPS_TO_IMPORT_MODULE": frozenset({"i"}), "NO_AUTH": False}, {"scmurl": "u"}, 401),
        ({"ALLOWED_GROUPS_TO_IMPORT_MODULE": frozenset({"i"})}, {}, 400),
        ({"ALLOWED_GROUPS_TO_IMPORT_MODULE": frozenset({"i"})}, {"scmurl": "u", "branch": "b"}, 400),
    ],
)
def test_an_import_is_refused(
    api: Api, option: Callable[..., None], options: dict[str, Any], body: dict[str, str], status: int
) -> None:
    option(**options)
    api.post("import-module/", body, status=status)
    assert not ModuleBuild.objects.exists()
