"""What an installation of production is like: Django's own check, and files that others cannot read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config.databases import database
from tests.config.conftest import KEY
from tests.processes import ROOT


def manage(tmp_path: Path, *arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run an operators' command under ProdConfiguration."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MBS_", "DJANGO_"))},
        "MBS_CONFIG_FILE": "",
        "MBS_CONFIG_SECTION": "prod",
        "MBS_DATA_DIR": str(tmp_path),
        "MBS_SECRET_KEY": KEY,
        "MBS_DATABASE_URL": "sqlite:///mbs.sqlite3",
        "MBS_BASE_URL": "https://mbs.example.com",
        **options,
    }
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_the_check_for_deployment_finds_nothing(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", "--deploy", "--fail-level=WARNING")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_tls_the_check_for_deployment_warns(tmp_path: Path) -> None:
    """The test above can fail."""
    done = manage(
        tmp_path, "check", "--deploy", "--fail-level=WARNING", MBS_BASE_URL="http://mbs.example.com"
    )
    assert done.returncode
    assert "security.W012" in done.stderr


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_an_sqlite_database_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    import sqlite3

    path = tmp_path / "folder" / "mbs.sqlite3"
    before = os.umask(umask)
    try:
        settings = database(f"sqlite:///{path}")
        connection = sqlite3.connect(settings["NAME"])
        connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        connection.close()
    finally:
        os.umask(before)
    assert modes == {"mbs.sqlite3": 0o600, "mbs.sqlite3-wal": 0o600, "mbs.sqlite3-shm": 0o600}


def test_an_sqlite_database_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    for name in ("mbs.sqlite3", "mbs.sqlite3-wal"):
        (tmp_path / name).touch(mode=0o644)
    database(f"sqlite:///{tmp_path}/mbs.sqlite3")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
