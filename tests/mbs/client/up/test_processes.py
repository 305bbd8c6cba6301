"""``mbs up`` with all its real processes and its own data folder."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from mbs.client.address import running
from mbs.client.cli import main
from mbs.client.demo.example import PLATFORM
from mbs.client.demo.service import service


def children(pid: int) -> dict[int, str]:
    """The processes that a process has started: number -> command line."""
    found = {}
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            found[child.pid] = " ".join(child.cmdline())
    return found


def the_one(pid: int, word: str) -> int | None:
    return next((number for number, command in children(pid).items() if word in command), None)


def wait_for(condition: Callable[[], object], seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_it_serves_heals_and_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("MBS_", "DJANGO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MBS_SYSTEM", "simulated")
    data = tmp_path / "data folder"
    monkeypatch.setenv("MBS_DATA_DIR", str(data))
    with service(data, keep=False, modules=[PLATFORM]) as mine:
        there = mine.ready()
        answer = CliRunner().invoke(main, ["list"])
        assert "platform:el9:1:00000000" in answer.output, answer.output
        with service(data, keep=False, modules=[PLATFORM]) as same:
            assert same.ready() == there
            same.release()
        assert running(data) == there
        words = ["redis-server", "manage.py web", "--queues=workflow,sweeps", "--queues=builds", "beat"]
        assert all(the_one(there.pid, word) for word in words)
        for word in ("redis-server", "manage.py web"):
            victim = the_one(there.pid, word)
            assert victim is not None
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda word=word, victim=victim: the_one(there.pid, word) not in (None, victim))
        # The port is held while the web server starts again: the request waits for it.
        assert CliRunner().invoke(main, ["about"]).exit_code == 0
        # Workers make buildroots that builds of other users read: the folder itself keeps other users out.
        assert not data.stat().st_mode & 0o077
        assert not [path for path in data.glob("mbs.sqlite3*") if path.stat().st_mode & 0o077]
        everybody = [there.pid, *children(there.pid)]
    assert running(data) is None
    assert not [pid for pid in everybody if Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.rglob("server.json")) == []
    log = (data / "up.log").read_text()
    assert "redis was killed by SIGKILL; restarting" in log
