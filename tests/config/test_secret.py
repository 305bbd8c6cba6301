"""The generated secret key."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.schema import Options
from config.secret import load_or_create_key
from mbs.errors import ConfigurationError


def test_the_key_is_made_once_and_only_the_owner_may_read_it(tmp_path):
    key = load_or_create_key(tmp_path / "new" / "folder")
    assert len(key) == 64
    assert load_or_create_key(tmp_path / "new" / "folder") == key
    assert [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "new" / "folder").iterdir()] == [
        ("secret-key", 0o600)
    ]


def test_processes_that_start_together_agree(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(load_or_create_key, [tmp_path] * 64))
    assert len(set(keys)) == 1


def test_two_folders_have_two_keys(tmp_path):
    assert load_or_create_key(tmp_path / "a") != load_or_create_key(tmp_path / "b")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/file") as caught:
        load_or_create_key(tmp_path / "file" / "data")
    assert "MBS_DATA_DIR" in caught.value.hint


def test_an_empty_key_file_is_refused(tmp_path):
    (tmp_path / "secret-key").write_text("")
    with pytest.raises(ConfigurationError, match="secret-key is empty"):
        load_or_create_key(tmp_path)


def test_the_key_of_the_documents_example_is_refused() -> None:
    example = re.search(
        r'SECRET_KEY = "(.*)"', Path(__file__).parents[2].joinpath("docs/configuration.md").read_text()
    )
    assert example
    with pytest.raises(ValidationError, match=r"text of the example|random text"):
        Options(SECRET_KEY=example[1], BASE_URL="https://mbs.example.org", DATABASE_URL="sqlite:///x")
