"""Batches of components, and included modules."""

from __future__ import annotations

import pytest

from mbs.batches import BuildafterError, Included, InclusionError, Placed, buildafter_graph, place
from mbs.modulemd import ModuleComponent, RpmComponent, StreamV2


def module(name: str = "main", modules: dict[str, int] | None = None, **rpms: int | list[str]) -> StreamV2:
    """A module: component -> buildorder, or the list of what it is built after."""
    components = {
        key: RpmComponent(key, buildafter=order)
        if isinstance(order, list)
        else RpmComponent(key, buildorder=order)
        for key, order in rpms.items()
    }
    included = {key: ModuleComponent(key, buildorder=order) for key, order in (modules or {}).items()}
    return StreamV2(name=name, rpm_components=components, module_components=included)


def batches(main: StreamV2, *others: StreamV2) -> dict[int, list[str]]:
    result: dict[int, list[str]] = {}
    for placed in placed_of(main, *others):
        result.setdefault(placed.batch, []).append(placed.key)
    return result


def placed_of(main: StreamV2, *others: StreamV2) -> list[Placed]:
    known = {other.name: other for other in others}

    def fetch(key: str, component: Included) -> StreamV2:
        return known[key]

    return place(main, fetch)


def test_names_with_numbers_are_in_their_order_within_a_batch() -> None:
    assert batches(module(c1=0, c10=0, c2=0, d=-1)) == {2: ["d"], 3: ["c1", "c2", "c10"]}


def test_one_batch_for_each_buildorder_after_the_macros() -> None:
    assert batches(module(late=10, first=-5, plain=0, also=0)) == {
        2: ["first"],
        3: ["also", "plain"],
        4: ["late"],
    }


def test_no_components_no_batches() -> None:
    assert batches(module()) == {}


def test_included_components_have_the_batch_of_the_module() -> None:
    main = module(modules={"inner": 5}, early=0, late=10)
    assert batches(main, module("inner", x=0, y=1)) == {2: ["early"], 3: ["x"], 4: ["y"], 5: ["late"]}


def test_an_included_module_of_the_same_buildorder_shares_the_batch() -> None:
    assert batches(module(modules={"inner": 0}, a=0), module("inner", x=0, y=3)) == {2: ["a", "x"], 3: ["y"]}


def test_inclusion_is_recursive_and_remembers_the_way() -> None:
    main, outer, inner = (
        module(modules={"outer": 1}, a=0),
        module("outer", {"inner": 2}, o=0),
        module("inner", i=7),
    )
    assert batches(main, outer, inner) == {2: ["a"], 3: ["o"], 4: ["i"]}
    paths = {placed.key: placed.path for placed in placed_of(main, outer, inner)}
    assert paths == {"a": (), "o": ("outer",), "i": ("outer", "inner")}


def test_an_empty_included_module_takes_no_batch() -> None:
    assert batches(module(modules={"inner": 5}, a=0, b=9), module("inner")) == {2: ["a"], 3: ["b"]}


def test_the_same_component_twice_is_an_error() -> None:
    with pytest.raises(InclusionError) as caught:
        batches(module(modules={"inner": 0}, a=0), module("inner", a=0))
    assert caught.value.code == "component_twice"
    assert "'a'" in caught.value.message


@pytest.mark.parametrize("second", ["main", "inner"])
def test_a_module_that_includes_itself_is_an_error(second: str) -> None:
    with pytest.raises(InclusionError) as caught:
        batches(module(modules={"inner": 0}), module("inner", {second: 0}), module("main"))
    assert caught.value.code == "included_in_itself"


def test_an_endless_chain_of_modules_is_an_error() -> None:
    chain = [module(f"m{number}", {f"m{number + 1}": 0}) for number in range(100)]
    with pytest.raises(InclusionError):
        batches(chain[0], *chain[1:])


def test_buildafter_makes_one_batch_and_a_graph() -> None:
    placed = placed_of(module(a=[], b=["a"], c=["a", "b"]))
    assert {each.batch for each in placed} == {2}
    assert {each.key: each.after for each in placed} == {"a": set(), "b": {"a"}, "c": {"a", "b"}}


def test_each_component_waits_for_those_it_names() -> None:
    assert buildafter_graph(module(a=[], b=["a"], c=["b"]).rpm_components) == {
        "a": set(),
        "b": {"a"},
        "c": {"b"},
    }


def test_a_circle_is_an_error_that_shows_it() -> None:
    with pytest.raises(BuildafterError) as caught:
        buildafter_graph(module(a=["c"], b=["a"], c=["b"], d=[]).rpm_components)
    (problem,) = caught.value.problems
    assert problem.code == "buildafter_cycle"
    assert all(name in problem.message for name in "abc")


def test_waiting_for_oneself_is_a_circle() -> None:
    with pytest.raises(BuildafterError) as caught:
        buildafter_graph(module(a=["a"]).rpm_components)
    assert caught.value.code == "buildafter_cycle"


def test_all_unknown_names_are_reported_together() -> None:
    with pytest.raises(BuildafterError) as caught:
        buildafter_graph(module(a=["x"], b=["a", "y"]).rpm_components)
    assert [(problem.component, problem.code) for problem in caught.value.problems] == [
        ("a", "unknown_component"),
        ("b", "unknown_component"),
    ]


@pytest.mark.parametrize(
    "mixed",
    [module(a=1, b=["a"]), module(modules={"inner": 3}, a=[], b=["a"])],
    ids=["components", "modules"],
)
def test_buildafter_beside_buildorder_is_an_error(mixed: StreamV2) -> None:
    with pytest.raises(BuildafterError) as caught:
        buildafter_graph(mixed.rpm_components, mixed.module_components)
    assert {problem.code for problem in caught.value.problems} == {"buildafter_and_buildorder"}


def test_a_long_chain_is_no_trouble() -> None:
    chain = {f"c{number}": [f"c{number - 1}"] if number else [] for number in range(5000)}
    assert len(buildafter_graph(module(**chain).rpm_components)) == 5000
