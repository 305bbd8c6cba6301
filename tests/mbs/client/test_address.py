"""Finding the running service, and refusing a second one on the same data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mbs.client.address import (
    NoServer,
    Running,
    data_dir,
    default_data_dir,
    find_server,
    lock,
    publish,
    running,
    withdraw,
)
from mbs.errors import Conflict


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(data: Path, held: ExitStack, port: int = 1) -> Running:
    """A service that holds its folder until ``held`` is closed."""
    held.callback(os.close, lock(data))
    service = Running(f"http://127.0.0.1:{port}", os.getpid(), str(data))
    publish(service)
    return service


def test_running_service_is_found_from_anywhere(tmp_path: Path, held: ExitStack) -> None:
    service = start(tmp_path / "data", held)
    assert find_server(None) == (service.base_url, True)


def test_choice_comes_first(tmp_path: Path, held: ExitStack) -> None:
    start(tmp_path / "data", held)
    assert find_server("http://other") == ("http://other", False)


def test_data_folder_of_the_environment_comes_before_the_default_one(
    tmp_path: Path, held: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(default_data_dir(), held, port=1)
    start(tmp_path / "data", held, port=2)
    assert find_server(None)[0].endswith(":1")
    monkeypatch.setenv("MBS_DATA_DIR", str(tmp_path / "data"))
    assert find_server(None)[0].endswith(":2")


def test_dead_service_is_not_found(tmp_path: Path, held: ExitStack) -> None:
    start(tmp_path / "data", held)
    held.close()
    assert running(tmp_path / "data") is None
    with pytest.raises(NoServer):
        find_server(None)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"base_url": 1}'])
def test_damaged_file_is_no_service(text: str) -> None:
    default_data_dir().mkdir(parents=True)
    (default_data_dir() / "server.json").write_text(text)
    assert running(default_data_dir()) is None


def test_a_second_service_on_a_folder_is_refused_with_the_address_of_the_first(
    tmp_path: Path, held: ExitStack
) -> None:
    service = start(tmp_path / "data", held)
    with pytest.raises(Conflict, match=service.base_url):
        lock(tmp_path / "data")


def test_withdrawn_service_leaves_no_file_but_those_of_others(tmp_path: Path, held: ExitStack) -> None:
    first = start(tmp_path / "one", held, port=1)
    second = start(tmp_path / "two", held, port=2)
    withdraw(second)
    assert find_server(None) == (first.base_url, True)
    withdraw(first)
    assert list(tmp_path.rglob("server.json")) == []


def test_data_folder_of_the_default_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_dir(None) == tmp_path / "share" / "mbs"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/joan")
    assert data_dir(None) == Path("/home/joan/.local/share/mbs")
    monkeypatch.chdir(tmp_path)
    assert data_dir(".data") == tmp_path / ".data"


def test_data_folder_of_a_checkout_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert data_dir(None) == tmp_path / ".data"


def test_data_folder_is_only_for_its_user(tmp_path: Path, held: ExitStack) -> None:
    start(tmp_path / "data", held)
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
