"""Events of workers that Flower receives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from urllib.error import URLError
from urllib.request import urlopen

from builds import dispatch
from tests.builds.workflow.modules import make_build
from tests.processes import ROOT, free_port, wait_for


def test_flower_shows_the_tasks_of_workers(workers, tmp_path):
    """They tell of no task while nobody looks; Flower asks them to when it starts."""
    workers.start()
    build, port = make_build(["alpha"]), free_port()
    command = [sys.executable, "-m", "celery", "-A", "config.celery", "flower", "--conf=config/flower.py"]
    environ = {**os.environ, **workers.environ, "FLOWER_UNAUTHENTICATED_API": "true"}

    def tasks() -> set[str]:
        dispatch.send_now("workflow.advance", build.pk)
        with suppress(URLError, ConnectionError), urlopen(f"http://127.0.0.1:{port}/api/tasks") as answer:
            return {task["name"] for task in json.load(answer).values()}
        return set()

    with (tmp_path / "flower.log").open("wb") as log:
        flower = subprocess.Popen([*command, f"--port={port}"], cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            wait_for(lambda: "workflow.advance" in tasks(), 60, "a task that Flower shows")
        finally:
            flower.terminate()
            flower.wait(30)
