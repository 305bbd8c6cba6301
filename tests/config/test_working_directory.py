"""Processes that start in a folder with an operator's ``config.py``, which must not shadow the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import billiard.pool
import pytest

MANAGER = "import sys; sys.argv[0] = 'mbs-manager'; from manage import main; main()"
#: A child process of a web server or worker pool: it gets the path of its parent.
CHILD = (
    "import sys; from config.celery import app; from multiprocessing import get_context as get;"
    " process = get('spawn').Process(target=__import__, args=['config.asgi']);"
    " process.start(); process.join(); sys.exit(process.exitcode)"
)


def run(folder: Path, code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code in a folder as a console script does: without the folder in Python's path."""
    (folder / "config.py").write_text("raise SystemExit('The wrong config was imported.')\n")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *args],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("args", [["check"], ["celery", "report"], ["celery", "worker", "--help"]])
def test_operators_commands_start_there(tmp_path: Path, args: list[str]) -> None:
    done = run(tmp_path, MANAGER, *args)
    assert done.returncode == 0, done.stderr


def test_child_processes_start_there(tmp_path: Path) -> None:
    done = run(tmp_path, CHILD)
    assert done.returncode == 0, done.stderr


def test_billiard_still_has_the_limit_that_is_changed() -> None:
    assert "\nGUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT =" in Path(billiard.pool.__file__).read_text()
