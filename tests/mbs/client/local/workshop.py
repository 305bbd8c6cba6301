"""Repositories of packages and modules for tests that build for real, and the command ``mbs local``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.gitrepos import make_repo
from tests.processes import ROOT

SPEC = """\
Name: {name}
Version: 1.0
Release: 1%{{?dist}}
Summary: Package {name}
License: MIT
BuildArch: noarch
{tags}
%description
The greeting is %{{?greeting}}.
%prep
%build
{build}
%install
mkdir -p %{{buildroot}}/usr/bin
echo '#!/bin/sh' > %{{buildroot}}/usr/bin/{name}-of-module
chmod 755 %{{buildroot}}/usr/bin/{name}-of-module
%check
{check}
%files
/usr/bin/{name}-of-module
"""
MODULEMD = """\
document: modulemd
version: 2
data:
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  dependencies:
  - buildrequires: {{platform: {platform}{more}}}
    requires: {{platform: {platform}{more}}}
  profiles: {{default: {{rpms: {packages}}}}}
  buildopts: {{rpms: {{macros: "%greeting {greeting}"}}}}
  components:
    rpms:
"""


class Workshop:
    """Repositories of packages and modules, and the command."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for name in [name for name in os.environ if name.startswith(("MBS_", "DJANGO_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def package(self, name: str, *, build: str = "true", check: str = "true", tags: str = "") -> None:
        """Make the repository of a package."""
        text = SPEC.format(name=name, build=build, check=check, tags=tags)
        make_repo(self.folder / "rpms" / name, {f"{name}.spec": text}, branch="main")

    def module(
        self,
        name: str,
        packages: Sequence[str],
        *,
        platform: str = "[]",
        more: str = "",
        greeting: str = "kind",
        folder: str = "",
    ) -> Path:
        """Make a checkout of a module on the branch 1, with its packages in batches of their own."""
        text = MODULEMD.format(
            platform=platform, more=more, packages=json.dumps(list(packages)), greeting=greeting
        )
        for place, package in enumerate(packages):
            repository = (self.folder / "rpms" / package).as_uri()
            text += f"      {package}: {{rationale: r, ref: main, buildorder: {place}, "
            text += f"repository: '{repository}'}}\n"
        checkout = self.folder / (folder or name)
        make_repo(checkout, {f"{name}.yaml": text}, branch="1")
        return checkout

    def start(self, checkout: Path, *options: str) -> subprocess.Popen[str]:
        """Start the command in a checkout."""
        return subprocess.Popen(
            (sys.executable, "-m", "mbs.client", "local", *options),
            cwd=checkout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, checkout: Path, *options: str, code: int = 0) -> str:
        """Run the command to its end, and return its output."""
        with self.start(checkout, *options) as process:
            try:
                output, _ = process.communicate(timeout=900)
            finally:
                process.terminate()  # it stops its service
        assert process.returncode == code, output
        return output

    def data(self, name: str) -> Path:
        """Return the only data folder of a module."""
        (found,) = (self.folder / "state" / "mbs" / "local").glob(f"{name}-*")
        return found

    def tasks(self, name: str, package: str) -> list[Path]:
        """Return the submissions of a package, with its logs and RPMs."""
        jobs = (self.data(name) / "local" / "tasks").glob("*/job.json")
        return sorted(job.parent for job in jobs if json.loads(job.read_text())["package"] == package)
