"""Error messages of commands and servers that start with an invalid configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def _start(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MBS_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, *command],
        env={**environ, "MBS_CONFIG_FILE": "", "DJANGO_SETTINGS_MODULE": "config.settings", **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_command_prints_only_the_error_of_the_configuration():
    done = _start("manage.py", "config", MBS_CONFIG_SECTION="prod", MBS_SYSTEM="brew")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has 4 errors" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_does_not_start_and_its_log_ends_in_what_to_do(tmp_path):
    missing = str(tmp_path / "missing.py")
    done = _start("-c", "import config.wsgi", MBS_CONFIG_FILE=missing)
    assert done.returncode == 1
    cause, hint = done.stderr.splitlines()[-2:]
    assert f"The configuration file {missing} cannot be read" in cause
    assert "Set MBS_CONFIG_FILE to another file" in hint


def test_the_effective_configuration_of_production_is_printed(tmp_path):
    done = _start(
        "manage.py",
        "config",
        "DATABASE_URL",
        "SYSTEM",
        MBS_CONFIG_FILE=str(ROOT / "tests/config/data/reference_config.py"),
    )
    assert done.returncode == 0, done.stderr
    assert "postgresql://mbs:********@db.example.com/mbs" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
