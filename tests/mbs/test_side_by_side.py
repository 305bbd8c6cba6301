"""Side-by-side differences of texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbs import side_by_side
from mbs.side_by_side import AROUND, MAX_LINE_LENGTH, MAX_LINES, comparable, rows

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30)


def test_equal_texts_have_no_rows() -> None:
    assert rows("a\nb\n", "a\nb\n") == []


def test_a_changed_line_is_beside_the_old_one() -> None:
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


def test_marks_that_change_the_order_of_characters_are_shown() -> None:
    (row,) = rows("\tmit\u202elicense", "\tgpl\x1b[2J\r")
    assert (row.old, row.new) == ("\tmit\\u202elicense", "\tgpl\\x1b[2J\\r")


def test_long_texts_are_not_compared() -> None:
    assert comparable("\n" * (MAX_LINES - 1))
    assert not comparable("a", "\n" * MAX_LINES)


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x85", "\u2028"])
def test_characters_that_end_lines_elsewhere_do_not_make_texts_longer(end: str) -> None:
    old, new = f"a{end}" * (2 * MAX_LINES), f"b{end}" * (2 * MAX_LINES)
    assert comparable(old, new)
    assert [row.kind for row in rows(old, new)] == ["changed"]


def test_the_work_for_hostile_texts_is_bounded() -> None:
    """Every other line is in both texts, many times over, and never with one of its neighbours."""

    def text(own: str, lines: int) -> str:
        return "".join(f"{number % 50}\n{own}{number}\n" for number in range(lines // 2 - 1))

    matcher = side_by_side.Matcher(*(text(own, MAX_LINES).split("\n") for own in ("old", "new")))
    matcher.get_opcodes()
    # The last search may go over the limit: each line is in the other text a hundredth of all lines at most.
    assert matcher.pairs <= side_by_side.MAX_PAIRS + MAX_LINES * (MAX_LINES // 100 + 2)


def test_lines_beyond_the_limit_of_comparisons_are_shown_as_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "MAX_PAIRS", 0)
    found = rows("a\nold\nb\nz", "a\nnew\nb\nz")
    assert [(row.kind, row.old, row.new) for row in found] == [
        ("same", "a", "a"),
        ("changed", "old", "new"),
        ("same", "b", "b"),
        ("same", "z", "z"),
    ]


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
