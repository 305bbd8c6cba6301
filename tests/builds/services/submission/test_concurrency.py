"""Simultaneous submissions or imports of the same module all succeed."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

import pytest
from django.db import connections

from builds.models import BuildRequirement, ModuleBuild
from builds.services.module_import import import_module
from mbs.states import BuildState
from tests.builds.conftest import Forge, document, submitted
from tests.factories import base_module

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 20
IMPORTED = """document: modulemd
version: 2
data:
  name: tools
  stream: "1"
  version: 7
  context: c0ffee00
  summary: A module
  description: A module of a test.
  license: {module: [MIT]}
  dependencies:
  - buildrequires: {platform: [f40]}
    requires: {platform: [f40]}
  xmd:
    mbs:
      mse: "true"
      koji_tag: module-tools
      buildrequires:
        platform: {ref: null, stream: f40, version: "3", context: "00000000"}
"""


def at_once(work: Callable[[], object]) -> list[object]:
    """Do the same in many threads; the answers, and tracebacks of errors."""
    answers: list[object] = []
    begin = threading.Barrier(MANY)

    def run() -> None:
        try:
            begin.wait(60)
            answers.append(work())
        except Exception:  # noqa: BLE001  (an answer as well)
            answers.append(traceback.format_exc())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return answers


def test_scratch_builds_at_once_are_builds_of_their_own(
    transactional_db: None, forge: Forge, sent: list[int]
) -> None:
    address = forge.module("m", document({"alpha": ""}))
    answers = at_once(lambda: [build.pk for build in submitted(scmurl=address, scratch=True)])
    assert [answer for answer in answers if not isinstance(answer, list)] == []
    assert len({build for [build] in answers}) == MANY
    contexts = set(ModuleBuild.objects.filter(scratch=True).values_list("context", flat=True))
    assert {context.rpartition("_")[2] for context in contexts} == {str(n) for n in range(1, MANY + 1)}
    assert sorted(sent) == sorted(build for [build] in answers)


def test_imports_of_a_module_at_once_are_one_module(transactional_db: None) -> None:
    base_module("f40")
    answers = at_once(lambda: import_module(IMPORTED)[0].pk)
    assert len(set(answers)) == 1, answers
    build = ModuleBuild.objects.get(name="tools")
    assert build.state == BuildState.READY
    assert BuildRequirement.objects.filter(module_build=build).count() == 1
