"""Line numbers of keys in documents."""

from __future__ import annotations

import pytest

from mbs.errors import Problem
from mbs.modulemd import Locator

TEXT = """\
document: modulemd
data:
  dependencies:
  - buildrequires: {platform: []}
  - buildrequires:
      perl-bootstrap: []
  components:
    rpms:
      python3.9:
        ref: x
      python3:
        ref: y
    modules:
      inner: {}
"""


@pytest.mark.parametrize(
    ("key", "line", "component"),
    [
        ("data.components.rpms.python3.9.ref", 10, "python3.9"),
        ("data.components.rpms.python3.ref", 12, "python3"),
        ("data.components.rpms.python3.name", 11, "python3"),
        ("data.components.modules.inner.ref", 14, "inner"),
        ("data.dependencies.buildrequires.perl-bootstrap", 6, ""),
        ("data.dependencies[1]", 5, ""),
        ("data.dependencies[7]", 3, ""),
        ("data.name", 2, ""),
        ("nothing", 1, ""),
    ],
)
def test_a_key_has_the_line_of_itself_or_of_the_nearest_above(key: str, line: int, component: str) -> None:
    (found,) = Locator(TEXT).locate([Problem("code", "It is wrong.", key=key)])
    assert (found.line, found.component) == (line, component)


def test_a_component_has_its_key() -> None:
    problems = [
        Problem("code", "It is wrong.", component=name) for name in ("python3.9", "inner", "other", "")
    ]
    assert [(each.key, each.line) for each in Locator(TEXT).locate(problems)] == [
        ("data.components.rpms.python3.9", 9),
        ("data.components.modules.inner", 14),
        ("", None),
        ("", None),
    ]


def test_a_known_line_is_kept() -> None:
    (found,) = Locator(TEXT).locate([Problem("code", "It is wrong.", key="data.name", line=77)])
    assert found.line == 77


@pytest.mark.parametrize("text", ["", "- a list", "{", "a: &a [*a]"])
def test_a_text_that_is_no_document_leaves_problems_as_they_are(text: str) -> None:
    problem = Problem("code", "It is wrong.", key="data.name")
    assert Locator(text).locate([problem]) == [problem]


def test_another_document_of_a_file_is_looked_at_by_its_place() -> None:
    (found,) = Locator("a: 1\n---\n" + TEXT, 1).locate([Problem("code", "It is wrong.", key="data")])
    assert found.line == 4
