"""The simulation of slots that predicts the ends of builds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbs import prediction
from mbs.critical_path import Work, critical_path
from mbs.prediction import (
    Build,
    Duration,
    Pace,
    Prediction,
    Ready,
    Task,
    intervals,
    places,
    predict,
    runs_for,
)

_numbers = count(1)


def task(seconds: float, batch: int = 1, **more: Any) -> Task:
    number = next(_numbers)
    duration = Duration(seconds, more.pop("ratios", (1.0,)))
    return Task(number, more.pop("package", f"package{number}"), batch, duration, **more)


def build(*tasks: Task, owner: str = "ann", batch: int = 1, **more: Any) -> Build:
    return Build(next(_numbers), owner, batch, tasks, **more)


@st.composite
def some_builds(draw: st.DrawFn) -> list[Build]:
    builds = []
    for owner in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=6)):
        tasks = [
            task(draw(st.integers(1, 20)), draw(st.integers(1, 3))) for _ in range(draw(st.integers(1, 6)))
        ]
        builds.append(build(*tasks, owner=owner, batch=0))
    return builds


SLOTS = st.integers(1, 4)
#: One simulation: all are the same if the durations are exact.
exact = partial(predict, most=1)


@given(some_builds(), SLOTS)
def test_there_are_never_more_components_than_slots_and_all_are_built(
    builds: list[Build], slots: int
) -> None:
    found = exact(builds, Pace(slots))
    times = list(intervals(found))
    assert sorted(number for _, _, number in times) == sorted(t.id for b in builds for t in b.tasks)
    for moment, _, _ in times:
        assert sum(start <= moment < end for start, end, _ in times) <= slots
    assert found.ready.keys() == {b.id for b in builds}


@given(some_builds(), SLOTS)
def test_no_slot_is_free_while_a_component_waits_for_one(builds: list[Build], slots: int) -> None:
    found = exact(
        [Build(b.id, b.owner, 1, [t for t in b.tasks if t.batch == 1]) for b in builds], Pace(slots)
    )
    times = list(intervals(found))
    for start, _, _ in times:
        if start > 0:
            before = start - 0.5
            assert sum(begin <= before < end for begin, end, _ in times) == slots


@given(some_builds(), SLOTS)
def test_a_build_is_ready_when_its_last_component_is_and_no_sooner_than_it_can_be(
    builds: list[Build], slots: int
) -> None:
    found = exact(builds, Pace(slots))
    for each in builds:
        path = critical_path([Work(t.package, t.batch, t.duration.seconds) for t in each.tasks])
        assert found.ready[each.id].seconds == max(found.ends[t.id] for t in each.tasks)
        assert found.ready[each.id].seconds >= path.seconds
    total = sum(t.duration.seconds for b in builds for t in b.tasks)
    assert max(each.seconds for each in found.ready.values()) >= total / slots


@given(some_builds())
def test_without_a_limit_every_build_takes_as_long_as_its_critical_path(builds: list[Build]) -> None:
    found = exact(builds, Pace(0, between=(3,), finish=(5,)))
    for each in builds:
        path = critical_path([Work(t.package, t.batch, t.duration.seconds) for t in each.tasks])
        batches = {t.batch for t in each.tasks}
        assert found.ready[each.id].seconds == path.seconds + 3 * len(batches) + 5


@given(some_builds(), SLOTS)
def test_a_batch_starts_after_the_one_before_it(builds: list[Build], slots: int) -> None:
    found = exact(builds, Pace(slots, between=(2,)))
    for each in builds:
        for later in each.tasks:
            for earlier in each.tasks:
                if earlier.batch < later.batch:
                    assert found.starts[later.id] >= found.ends[earlier.id] + 2


@given(some_builds(), SLOTS, st.randoms())
def test_the_order_in_which_builds_are_given_does_not_matter(
    builds: list[Build], slots: int, random: Any
) -> None:
    mixed = [Build(b.id, b.owner, b.batch, random.sample(b.tasks, len(b.tasks))) for b in builds]
    random.shuffle(mixed)
    assert exact(mixed, Pace(slots)) == exact(builds, Pace(slots))


@given(some_builds(), SLOTS)
def test_slots_go_to_the_owner_with_the_fewest(builds: list[Build], slots: int) -> None:
    """When a component starts, no owner with one that could start instead has fewer building."""
    flat = [Build(b.id, b.owner, 1, [t for t in b.tasks if t.batch == 1]) for b in builds]
    found = exact(flat, Pace(slots))
    owner = {t.id: b.owner for b in flat for t in b.tasks}
    order = list(found.starts)
    for place, number in enumerate(order):
        moment = found.starts[number]
        load = Counter(owner[n] for n in order[:place] if found.ends[n] > moment)
        waiting = {owner[n] for n in order[place:]}
        assert load[owner[number]] == min(load[name] for name in waiting)


def test_the_longest_component_of_an_owner_is_first() -> None:
    short, long = task(1), task(9)
    found = predict([build(short), build(long)], Pace(1))
    assert found.starts == {long.id: 0.0, short.id: 9.0}
    assert places(found, [short.id, long.id]) == {long.id: 1, short.id: 2}


def test_a_running_component_keeps_its_slot_for_its_remaining_time() -> None:
    running, waiting = task(10, building=4.0), task(5)
    found = predict([build(running, waiting)], Pace(1))
    assert found.ends == {running.id: 6.0, waiting.id: 11.0}


def test_a_component_that_exceeds_its_duration_ends_soon_but_not_now() -> None:
    late = task(10, building=60.0)
    rest = predict([build(late)], Pace(1)).ends[late.id]
    assert 0 < rest < 60


def test_a_component_that_builds_takes_one_of_the_longer_possible_durations() -> None:
    running = task(10, building=12.0, ratios=(0.5, 1.0, 1.5))
    found = predict([build(running)], Pace(1))
    assert found.ends == {running.id: 3.0}


def test_components_wait_for_those_they_name() -> None:
    first, second = task(4, package="first"), task(3, package="second", after=frozenset({"first"}))
    beside = task(9)
    found = predict([build(first, second, beside)], Pace(0, between=(1,)))
    assert (found.starts[second.id], found.starts[beside.id]) == (5.0, 0.0)
    circle = build(task(1, package="x", after=frozenset("y")), task(1, package="y", after=frozenset("x")))
    assert predict([circle], Pace(1)) == Prediction()


def test_a_build_between_batches_or_at_its_end_goes_on() -> None:
    found = predict([build(task(4, batch=3), batch=2), build(batch=2)], Pace(1, between=(2,), finish=(7,)))
    assert sorted(each.seconds for each in found.ready.values()) == [7.0, 13.0]


def test_a_build_that_fails_starts_nothing_more_and_frees_its_slots() -> None:
    running, never, other = task(5, building=0.0), task(1), task(2)
    failing = build(running, never, fails=True)
    waiting = build(other, owner="bob")
    found = predict([failing, waiting], Pace(1))
    assert never.id not in found.starts
    assert found.starts[other.id] == 5.0
    assert found.ready.keys() == {waiting.id}


def test_exact_durations_have_no_spread() -> None:
    found = predict([build(task(10), task(10, batch=2))], Pace(1, finish=(1,)))
    assert list(found.ready.values()) == [Ready(21.0, 0.0)]


def test_the_end_of_a_batch_is_expected_later_than_that_of_each_component() -> None:
    """Of ten components that take 1 or, one of four, 2 seconds, usually at least one takes 2."""
    tasks = [task(1, ratios=(1.0, 1.0, 1.0, 2.0)) for _ in range(10)]
    found = predict([build(*tasks)], Pace(0))
    assert [each.seconds for each in found.ready.values()] == [2.0]
    assert all(found.ends[each.id] < 2.0 for each in tasks)


def test_four_of_five_builds_are_ready_within_the_spread() -> None:
    random = Random(4)
    ratios = tuple(sorted(random.lognormvariate(0, 0.4) for _ in range(100)))
    within, builds = 0, 200
    for _ in range(builds):
        shape = [(random.uniform(10, 60), batch) for batch in (1, 1, 1, 1, 2, 2, 2)]
        told = predict(
            [build(*(task(each, batch, ratios=ratios) for each, batch in shape), owner="a")], Pace(2)
        )
        (ready,) = told.ready.values()
        # The slots go to the components that are expected to take longest, in this order.
        (end,) = exact([build(*_actual(shape, ratios, random))], Pace(2)).ready.values()
        within += abs(end.seconds - ready.seconds) <= ready.spread
    assert 0.7 < within / builds < 0.9


def _actual(shape: Sequence[tuple[float, int]], ratios: Sequence[float], random: Random) -> list[Task]:
    return [task(each, batch, ratios=(random.choice(ratios),)) for each, batch in shape]


def test_errors_of_many_components_do_not_cancel_each_other_out() -> None:
    """If durations were independent, four of five sums of 100 of them would deviate by less than 6.4."""
    (ready,) = predict([build(*(task(1, ratios=(0.5, 1.5)) for _ in range(100)))], Pace(1)).ready.values()
    assert 8 < ready.spread < 30


def test_a_prediction_is_repeatable() -> None:
    builds = [build(*(task(10, ratios=(0.5, 1.0, 2.0)) for _ in range(4)))]
    pace = Pace(2, between=(1, 2, 3), finish=(1, 5))
    assert predict(builds, pace) == predict(builds, pace)


@pytest.mark.parametrize("tasks", [0, 1, 100, 1000, 6000])
def test_the_simulations_of_many_components_are_bounded(tasks: int) -> None:
    runs = runs_for(tasks)
    assert 1 <= runs <= prediction.MAX_RUNS
    assert runs == 1 or runs * tasks <= prediction.MAX_STEPS


def test_each_component_of_a_large_build_is_looked_at_once() -> None:
    """A page predicts at each request, and strangers choose the number of components."""

    class Names(frozenset[str]):
        looked_at = 0

        def __and__(self, other: object) -> frozenset[str]:
            Names.looked_at += 1
            return super().__and__(other)

    tasks = [task(1, package=f"p{place}", after=Names({f"p{place - 1}"})) for place in range(200)]
    found = predict([build(*tasks)], Pace(slots=2))
    assert [found.starts[each.id] for each in tasks] == list(range(200))
    assert Names.looked_at == 200 * runs_for(len(tasks))
