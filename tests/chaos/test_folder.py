"""The folder of a run of ``make chaos``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.__main__ import make_empty


def test_a_folder_of_an_earlier_run_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "journal.log").touch()
    for folder in (tmp_path, tmp_path / "journal.log"):
        with pytest.raises(SystemExit, match="Name an empty or new folder with --keep"):
            make_empty(folder)


def test_a_new_or_empty_folder_is_taken(tmp_path: Path) -> None:
    for _ in range(2):
        make_empty(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
