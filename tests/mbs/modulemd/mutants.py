"""Valid modulemd documents and mutants of them, to compare parsers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

DATA = Path(__file__).parent / "data"
#: Real documents and the annotated specifications, if the shared folder exists.
SHARED = Path(__file__).parents[4] / "shared" / "data" / "modulemd"

TEXTS = [
    *(
        "",
        "x",
        "1",
        "0",
        "-1",
        "+5",
        " 5",
        "5 ",
        "0x10",
        "1.10",
        "9223372036854775808",
        "18446744073709551616",
    ),
    *("true", "false", "TRUE", "no", "null", "~", "yes", "a b", "ü", "-f28", "f28", "a-0:1-1.x"),
    *("2020-01-31", "2020-02-30", "2018-05-23T14:25Z", "2018-5-3", "2018-05", "99999-01-01"),
]
KEYS = [
    *("foo", "name", "rpms", "modules", "version", "context", "platform", "default", "description", "eol"),
    *(
        "buildorder",
        "buildafter",
        "arches",
        "buildonly",
        "static_context",
        "xmd",
        "requires",
        "module",
        "reset",
    ),
]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def files() -> list[Path]:
    """Return every modulemd file to test with."""
    return sorted(DATA.glob("*.yaml")) + sorted(SHARED.glob("*.yaml"))


def documents(path: Path) -> list[Any]:
    """Return the documents of a file as dicts, lists and texts."""
    return list(yaml.load_all(path.read_text(), Loader=yaml.CBaseLoader))


def as_text(document: Any) -> str:
    """Return a document as YAML."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def paths(tree: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node below the top."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield (*here, key)
        yield from paths(tree[key], (*here, key))


VALUES = st.recursive(
    st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def mutants(draw: st.DrawFn, originals: list[Any]) -> Any:
    """Return one of the originals with one to three changes."""
    document = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        ways = list(paths(document))
        way = draw(st.sampled_from(ways)) if ways else ("document",)
        parent = document
        for step in way[:-1]:
            parent = parent[step]
        _change(draw, parent, way[-1])
    return document


def _change(draw: st.DrawFn, parent: Any, key: Any) -> None:
    change = draw(st.sampled_from(["replace", "replace", "remove", "add", "rename"]))
    if change == "remove" and key in (parent if isinstance(parent, dict) else range(len(parent))):
        del parent[key]
    elif change == "add" and isinstance(parent, list):
        parent.append(draw(VALUES))
    elif change == "add":
        parent[draw(st.sampled_from(KEYS))] = draw(VALUES)
    elif change == "rename" and isinstance(parent, dict) and key in parent:
        parent[draw(st.sampled_from(KEYS + TEXTS))] = parent.pop(key)
    else:
        parent[key] = draw(VALUES)
