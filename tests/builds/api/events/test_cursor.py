"""Cursors of event streams."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds.api.events.cursor import SETTLE, Cursor
from builds.selectors.events import Event, Kind
from mbs.errors import InvalidInput

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - 2 * SETTLE


def event(number: int, time: datetime = NOW, kind: Kind = Kind.COMPONENT) -> Event:
    return Event(kind, number, time, b"{}")


def test_a_new_cursor_has_seen_nothing() -> None:
    assert str(Cursor()) == "s0.c0.l0.b0"
    assert not Cursor.parse("").has(event(1))


def test_old_rows_raise_the_floor_and_young_ones_are_listed() -> None:
    cursor = Cursor()
    cursor.add(event(7, LONG_AGO), NOW)
    for number in (9, 10, 11, 20):
        cursor.add(event(number), NOW)
    assert str(cursor) == "s0.c7+9-11,20.l0.b0"


def test_a_row_that_became_visible_late_is_not_taken_for_seen() -> None:
    cursor = Cursor()
    cursor.add(event(12), NOW)
    assert not Cursor.parse(str(cursor)).has(event(11))


def test_with_time_the_list_shrinks_into_the_floor() -> None:
    cursor = Cursor()
    for number in (9, 10, 20):
        cursor.add(event(number), NOW)
    cursor.add(event(30, NOW + SETTLE), NOW + SETTLE)
    cursor.settle(NOW + SETTLE + timedelta(seconds=1))
    assert str(cursor) == "s0.c20+30.l0.b0"


def test_an_id_stays_short_whatever_came_lately() -> None:
    cursor = Cursor()
    for number in range(2, 40_000, 2):
        cursor.add(event(10**12 + number), NOW)
    assert len(str(cursor)) < 8192
    again = Cursor.parse(str(cursor))
    assert again.has(event(10**12 + 2))
    assert not again.has(event(10**12 + 39_998))


@given(
    st.lists(st.tuples(st.sampled_from(list(Kind)), st.integers(1, 400)), max_size=100),
    st.sampled_from(["0", "3-building", "12-done"]),
)
def test_a_cursor_survives_its_conversion_to_text(rows: list[tuple[Kind, int]], batch: str) -> None:
    cursor = Cursor()
    cursor.batch = batch
    for kind, number in rows:
        cursor.add(event(number, NOW, kind), NOW)
    again = Cursor.parse(str(cursor))
    assert str(again) == str(cursor)
    for kind in Kind:
        for number in range(402):
            assert again.has(event(number, NOW, kind)) == ((kind, number) in rows or number == 0)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "s1.c1.l1",
        "s1.c1.l1.b1\n",
        "s1.c1.l1.b<x>",
        "s-1.c1.l1.b1",
        "s1.c1+.l1.b1",
        "s1.c1+1-30000.l1.b1",
        "s1.c1+" + "1," * 300 + "1.l1.b1",
        "s1.c" + "9" * 19 + ".l1.b1",
        "s\u0661.c1.l1.b1",
        "x" * 100_000,
    ],
)
def test_a_forged_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="Last-Event-ID"):
        Cursor.parse(text)
