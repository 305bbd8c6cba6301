"""The whole service as separate processes, for clients that are programs.

It has one database, one broker, workers, and a web server for each way to log in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.gitrepos import commit, make_repo, package_files
from tests.processes import ROOT, Worker, free_port, wait_for

API = "/module-build-service/"
PLATFORM = ROOT / "examples" / "modules" / "platform.yaml"
MODULEMD = """\
document: modulemd
version: 2
data:
  summary: A module
  description: A module of a test.
  license: {module: [MIT]}
  dependencies:
  - buildrequires: {platform: [el9]}
    requires: {platform: [el9]}
  components:
    rpms:
      first: {rationale: Needed., ref: master}
      second: {rationale: Needed., ref: master, buildorder: 1}
"""


class Service:
    """The service. Web servers are started on demand; ``stop`` ends everything."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self.git = folder / "git"
        self.environ = {
            "MBS_CONFIG_FILE": "",
            "MBS_CONFIG_SECTION": "test",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "MBS_DATABASE_URL": f"sqlite:///{folder}/mbs.sqlite3",
            "MBS_BROKER_URL": broker,
            "MBS_DATA_DIR": str(folder),
            "MBS_MESSAGING": "log",
            "MBS_SCMURLS": json.dumps([f"{self.git.as_uri()}/modules/"]),
            "MBS_RPMS_DEFAULT_REPOSITORY": f"{self.git.as_uri()}/rpms/",
            "MBS_REBUILD_STRATEGY_ALLOW_OVERRIDE": "true",
            "MBS_SIMULATED_BUILD_SECONDS": "0.5",
        }
        #: Names of packages whose builds do not end while they are in this file.
        self.held = folder / "simulated.held"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.worker = Worker(self.environ, folder / "worker.log", beat=True)

    def prepare(self) -> None:
        """Make the tables, the base module and the packages' repositories."""
        self.manage("migrate", "--verbosity=0")
        self.manage("import_module", str(PLATFORM))
        for name in ("first", "second"):
            make_repo(self.git / "rpms" / name, package_files(name))
        self.worker.wait_until_ready()

    def manage(self, *arguments: str) -> None:
        """Run a management command."""
        command = (sys.executable, "manage.py", *arguments)
        subprocess.run(command, cwd=ROOT, env={**os.environ, **self.environ}, check=True, capture_output=True)

    def web(self, **options: str) -> int:
        """Start a web server with additional options; return its port."""
        port = free_port()
        environ = {**os.environ, **self.environ, **{f"MBS_{name}": value for name, value in options.items()}}
        command = (sys.executable, "manage.py", "web", "--port", str(port))
        with (self.folder / f"web-{port}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log))
        wait_for(lambda: _answers(port), what="the web server")
        return port

    def module(self, name: str) -> str:
        """Make a repository of a module with a branch ``main``; return the scm url of its commit."""
        folder = self.git / "modules" / name
        hexsha = make_repo(folder, {f"{name}.yaml": MODULEMD}, branch="main")
        return f"{folder.as_uri()}?#{hexsha}"

    def again(self, name: str) -> str:
        """Add a commit to a module; return its scm url."""
        folder = self.git / "modules" / name
        hexsha = commit(folder, {"change": "another"}, when="2019-01-01T00:00:00Z")
        return f"{folder.as_uri()}?#{hexsha}"

    def get(self, port: int, path: str) -> Any:
        """Return JSON of the API."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{API}2/{path}", timeout=20) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """End all processes."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.worker.kill()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{API}1/about/", timeout=20):
            return True
    except OSError:
        return False
