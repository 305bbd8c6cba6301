"""The command ``mbs-manager``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.standalone import join_running_service
from manage import arguments
from mbs.client.address import Running, lock, publish
from mbs.client.up.services import Private, configure_redis
from tests.processes import ROOT

PLATFORM = ROOT / "examples" / "modules" / "platform.yaml"


def manager(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MBS_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env={**environ, "DJANGO_SETTINGS_MODULE": "config.settings", **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help_lists_the_commands_of_the_service_and_hides_those_of_django(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = manager(*arguments, MBS_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    names = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {"import_module", "doctor", "config", "migrate", "createsuperuser"} <= names
    assert not {"dbshell", "startapp", "runserver", "spectacular"} & names


def test_all_commands_are_listed_where_they_are_asked_for(tmp_path: Path) -> None:
    done = manager("help", "--all", MBS_DATA_DIR=str(tmp_path))
    assert {"dbshell", "import_module"} <= set(done.stdout.split())


def test_the_help_of_a_command_lists_its_own_options(tmp_path: Path) -> None:
    assert (
        "usage: manage.py import_module"
        in manager("import_module", "--help", MBS_DATA_DIR=str(tmp_path)).stdout
    )


def test_missing_tables_are_reported_with_the_command_that_creates_them(tmp_path: Path) -> None:
    done = manager("import_module", str(PLATFORM), MBS_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"The database {tmp_path}/mbs.sqlite3 lacks tables" in done.stderr
    assert "mbs-manager migrate" in done.stderr


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A standalone service that runs, as far as its data folder tells."""
    for name in [name for name in os.environ if name.startswith("MBS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MBS_DATA_DIR", str(tmp_path))
    configure_redis(tmp_path, Private(tmp_path))
    held = lock(tmp_path)
    found = Running("http://127.0.0.1:4711", os.getpid(), str(tmp_path))
    publish(found)
    yield found
    os.close(held)


def test_the_running_service_is_joined(service: Running, tmp_path: Path) -> None:
    environ = dict(os.environ)
    note = join_running_service(environ, ["mbs-manager"], default_file=str(tmp_path / "none.py"))
    assert (environ["MBS_CONFIG_SECTION"], environ["MBS_DATA_DIR"]) == ("standalone", service.data)
    assert environ["MBS_BASE_URL"] == service.base_url
    assert service.base_url in note


@pytest.mark.parametrize(
    "chosen",
    [
        {"MBS_CONFIG_FILE": "/etc/x.py"},
        {"MBS_CONFIG_SECTION": "dev"},
        {"MBS_DATABASE_URL": "sqlite:///x"},
        {"MBS_DATA_DIR": "/nowhere"},
    ],
)
def test_a_configuration_that_was_chosen_is_kept(
    service: Running, tmp_path: Path, chosen: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    environ = dict(os.environ)
    before = dict(environ)
    assert join_running_service(environ, ["mbs-manager"], default_file=str(tmp_path / "none.py")) == ""
    assert environ == before


def test_a_production_configuration_counts_where_it_is(service: Running, tmp_path: Path) -> None:
    (tmp_path / "config.py").touch()
    environ = dict(os.environ)
    assert join_running_service(environ, ["mbs-manager"], default_file=str(tmp_path / "config.py")) == ""


def test_a_service_that_is_gone_is_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBS_DATA_DIR", str(tmp_path))
    publish(Running("http://127.0.0.1:4711", 1, str(tmp_path)))
    environ = dict(os.environ)
    assert join_running_service(environ, ["mbs-manager"], default_file=str(tmp_path / "none.py")) == ""


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["-q", "build", "-s", "x"], ["build", "--verbosity", "0", "-s", "x"]),
        (["-v", "build"], ["build", "--verbosity", "2"]),
        (["--debug", "build"], ["build", "--verbosity", "3"]),
        (["build", "-v", "1"], ["build", "-v", "1"]),
        (["--help"], ["--help"]),
        ([], []),
    ],
)
def test_options_before_the_command_are_the_commands(given: list[str], meant: list[str]) -> None:
    assert arguments(["mbs-manager", *given]) == ["mbs-manager", *meant]
