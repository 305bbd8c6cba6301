"""Texts side by side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mbs.side_by_side import AROUND, MAX_LINE_LENGTH, MAX_LINES, comparable, rows

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30)


def test_equal_texts_have_no_rows() -> None:
    assert rows("a\nb\n", "a\nb\n") == []


def test_a_changed_line_stands_beside_the_old_one() -> None:
    found = rows("a\nold\nz", "a\nnew\nz")
    assert [(row.kind, row.old, row.new) for row in found] == [
        ("same", "a", "a"),
        ("changed", "old", "new"),
        ("same", "z", "z"),
    ]
    assert (found[1].old_number, found[1].new_number) == (2, 2)


def test_lines_far_from_a_difference_are_left_out() -> None:
    lines = [str(number) for number in range(100)]
    found = rows("\n".join(lines), "\n".join([*lines[:50], "new", *lines[50:]]))
    assert [row.kind for row in found] == [
        "skipped",
        *["same"] * AROUND,
        "added",
        *["same"] * AROUND,
        "skipped",
    ]


def test_long_lines_are_cut() -> None:
    assert len(rows("x" * 10_000, "y")[0].old) <= MAX_LINE_LENGTH + 4


def test_long_texts_are_not_compared() -> None:
    assert comparable("\n" * (MAX_LINES - 1))
    assert not comparable("a", "\n" * MAX_LINES)


@given(LINES, LINES)
def test_no_line_that_differs_is_lost(old: list[str], new: list[str]) -> None:
    found = rows("\n".join(old), "\n".join(new))
    olds, news = "\n".join(old).splitlines(), "\n".join(new).splitlines()
    for row in found:
        if row.old_number:
            assert row.old == olds[row.old_number - 1]
        if row.new_number:
            assert row.new == news[row.new_number - 1]
        if row.kind == "same":
            assert row.old == row.new
    if olds == news:
        assert found == []
    if not any(row.kind == "skipped" for row in found) and found:
        assert [row.old for row in found if row.old_number] == olds
        assert [row.new for row in found if row.new_number] == news
