"""The base module of this machine, which ``mbs up`` offers to import."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import click
import pytest

from mbs.client.up import platform
from mbs.client.up.platform import has_base_module, host_platform, offered
from mbs.errors import Unprocessable
from mbs.modulemd import parse_stream


@pytest.mark.parametrize(
    ("release", "stream"),
    [
        ({"ID": "rocky", "VERSION_ID": "9.4", "PLATFORM_ID": "platform:el9"}, "el9"),
        ({"ID": "fedora", "VERSION_ID": "43", "PLATFORM_ID": "platform:f43"}, "f43"),
        ({"ID": "debian", "VERSION_ID": "12"}, "debian12"),
        ({"ID": "opensuse-leap", "VERSION_ID": "15.6"}, "opensuse_leap15.6"),
        ({"ID": "arch"}, "arch"),
    ],
)
def test_its_stream_comes_from_the_release_of_the_system(release: dict[str, str], stream: str) -> None:
    found = host_platform({**release, "PRETTY_NAME": "The System"})
    document = parse_stream(found.document, strict=True)
    assert (document.name, document.stream, document.version, document.context) == (
        "platform",
        stream,
        1,
        "00000000",
    )
    assert "The System" in document.summary
    assert set(document.profiles) == {"buildroot", "srpm-buildroot"}


@pytest.mark.parametrize("release", [{}, {"PLATFORM_ID": "platform:"}, {"PLATFORM_ID": "platform:a b"}])
def test_a_system_without_a_release_has_no_stream(release: dict[str, str]) -> None:
    with pytest.raises(Unprocessable) as caught:
        host_platform(release)
    assert caught.value.code == "unknown_platform"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer yes on a terminal."""
    questions: list[str] = []

    def confirm(text: str, **_: object) -> bool:
        questions.append(text)
        return True

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(
        platform, "host_platform", lambda: host_platform({"ID": "debian", "VERSION_ID": "12"})
    )
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    return questions


def test_on_a_terminal_a_service_without_one_is_offered_it(asked: list[str], tmp_path: Path) -> None:
    path = offered(tmp_path, None, database=tmp_path / "mbs.sqlite3")
    assert path is not None
    assert parse_stream(path.read_text(), strict=True).stream == "debian12"
    assert "platform:debian12" in asked[0]


def test_nothing_is_asked_where_a_base_module_is_known(asked: list[str], tmp_path: Path) -> None:
    database = tmp_path / "mbs.sqlite3"
    with sqlite3.connect(database) as rows:
        rows.execute("CREATE TABLE builds_modulebuild (name TEXT, state INTEGER)")
        rows.execute("INSERT INTO builds_modulebuild VALUES ('platform', 5)")
    assert offered(tmp_path, None, database=database) is None
    assert asked == []


def test_nothing_is_asked_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    assert offered(tmp_path, None, database=tmp_path / "mbs.sqlite3") is None


@pytest.mark.parametrize("wanted", [True, False])
def test_the_option_decides_without_a_question(asked: list[str], tmp_path: Path, wanted: bool) -> None:
    found = offered(tmp_path, wanted, database=tmp_path / "mbs.sqlite3")
    assert (found is not None) is wanted
    assert asked == []


def test_a_database_that_cannot_be_read_counts_as_one_with_a_base_module(tmp_path: Path) -> None:
    (tmp_path / "mbs.sqlite3").write_text("no database")
    assert has_base_module(tmp_path / "mbs.sqlite3")
