"""The natural sort order of names."""

from __future__ import annotations

from mbs.text import natural


def test_names_are_sorted_with_their_numbers_in_order() -> None:
    names = ["c10", "c2", "b", "c1", "c2a", "9", "10", "c", "perl-5.38", "perl-5.8"]
    assert sorted(names, key=natural) == [
        *["9", "10", "b", "c", "c1", "c2", "c2a", "c10", "perl-5.8", "perl-5.38"]
    ]


def test_long_numbers_and_odd_digits_are_no_trouble() -> None:
    names = ["1" * 5000, "²", "٣", "", "x" * 5000]
    assert sorted(names, key=natural)[0] == ""
