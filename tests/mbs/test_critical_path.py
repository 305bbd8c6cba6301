"""The critical path of a build."""

from __future__ import annotations

from mbs.critical_path import Path, Work, critical_path


def work(package: str, batch: int, seconds: float, *after: str) -> Work:
    return Work(package, batch, seconds, frozenset(after))


def test_the_longest_of_each_batch() -> None:
    works = [work("macros", 1, 5), work("a", 2, 10), work("b", 2, 30), work("c", 4, 20), work("d", 4, 1)]
    assert critical_path(works) == Path(("macros", "b", "c"), 55)


def test_the_longest_chain_of_a_graph() -> None:
    works = [
        work("macros", 1, 5),
        work("root", 2, 10),
        work("long", 2, 50, "root"),
        work("short", 2, 10, "root"),
        work("leaf", 2, 20, "short", "root"),
        work("alone", 2, 55),
    ]
    assert critical_path(works) == Path(("macros", "root", "long"), 65)


def test_reused_components_are_not_waited_for() -> None:
    assert critical_path([work("leaf", 2, 3, "reused")]) == Path(("leaf",), 3)


def test_without_history_the_most_steps_count() -> None:
    assert critical_path([work("a", 2, 0), work("b", 2, 0, "a"), work("c", 2, 0)]).packages == ("a", "b")


def test_nothing_to_build() -> None:
    assert critical_path([]) == Path()


def test_a_long_chain_is_no_problem() -> None:
    works = [work("p0", 2, 1)] + [work(f"p{n}", 2, 1, f"p{n - 1}") for n in range(1, 2000)]
    assert critical_path(works).seconds == 2000
