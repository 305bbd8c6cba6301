"""``mbs local`` for real: RPMs by this machine's rpmbuild, from checkouts in a temporary folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mbs.client.demo.install import finished_module, has_dnf, installed_files
from mbs.client.demo.install import run as run_dnf
from tests.gitrepos import commit, make_repo
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


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return Workshop(tmp_path, monkeypatch)


def query(rpm: Path, what: str) -> str:
    """Return a tag of an RPM."""
    command = ("rpm", "-qp", "--nosignature", "--qf", f"%{{{what}}}", str(rpm))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def built(tasks: Sequence[Path]) -> list[Path]:
    """Return the binary RPMs of submissions."""
    return [rpm for task in tasks for rpm in task.glob("rpms/*.noarch.rpm")]


def test_a_killed_run_continues_to_modules_of_both_contexts_that_dnf_installs(workshop: Workshop) -> None:
    workshop.package("one")
    workshop.package("two", build="sleep 5")
    checkout = workshop.module("pair", ["one", "two"], platform="[p1, p2]", folder="an odd name #%41")
    output = []
    with workshop.start(checkout) as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            output.append(line)
            if "two: building" in line:
                break
        killed.send_signal(signal.SIGKILL)
    assert any("one: complete" in line for line in output), "".join(output)
    said = workshop.run(checkout)
    assert said.count("is in the repository") == 2
    assert len(workshop.tasks("pair", "one")) == 2, "one for each context, none again"
    assert len(built(workshop.tasks("pair", "two"))) == 2
    tags = [path.name for path in (workshop.data("pair") / "local" / "modules").iterdir()]
    assert len(tags) == 2
    repositories = [line for line in said.splitlines() if line.startswith("  curl ")]
    assert len(set(repositories)) == 2, "one for each platform"
    assert not (workshop.data("pair") / "server.json").exists()
    if not has_dnf():
        pytest.skip("dnf is not installed")
    for tag in tags:
        module = finished_module(workshop.data("pair"), tag, workshop.folder / "root")
        assert module is not None
        run_dnf(module.install, module.root)
        assert {"/usr/bin/one-of-module", "/usr/bin/two-of-module"} <= set(installed_files(module.root))


def test_uncommitted_changes_and_skipped_checks_arrive_when_they_are_asked_for(workshop: Workshop) -> None:
    workshop.package("one", check="echo The check fails; exit 1")
    checkout = workshop.module("single", ["one"])
    document = checkout / "single.yaml"
    document.write_text(document.read_text().replace("greeting kind", "greeting changed"))
    failed = workshop.run(checkout, code=1)
    assert "uncommitted changes, which are left out" in failed
    assert "The check fails" in failed
    (failure,) = workshop.tasks("single", "one")
    assert f"Log of one: {failure}/build.log" in failed

    answer = workshop.run(checkout, "--skiptests", "--json")
    (build,) = json.loads(answer[answer.index("\n[") :].split("\n]\n")[0] + "\n]")
    assert build["state_name"] == "ready"
    (rpm,) = built(workshop.tasks("single", "one"))
    assert query(rpm, "DESCRIPTION") == "The greeting is kind."

    workshop.run(checkout, "--skiptests", "--uncommitted")
    descriptions = [query(each, "DESCRIPTION") for each in built(workshop.tasks("single", "one"))]
    assert descriptions == ["The greeting is kind.", "The greeting is changed."]
    (source, _) = (each for task in workshop.tasks("single", "one") for each in task.glob("rpms/*.src.rpm"))
    spec = workshop.folder / "rpms" / "one" / "one.spec"
    unpacked = workshop.folder / "unpacked"
    unpacked.mkdir()
    subprocess.run(f"rpm2archive - < '{source}' | tar -xz -C '{unpacked}'", shell=True, check=True)
    assert (unpacked / "one.spec").read_text() == spec.read_text()


def test_an_earlier_build_is_in_the_buildroot_of_a_module_whose_package_is_a_source_rpm(
    workshop: Workshop,
) -> None:
    workshop.package("one")
    workshop.run(workshop.module("base", ["one"]), "--offline")
    workshop.package("user", build="one-of-module", tags="BuildRequires: one")
    folder = workshop.folder / "rpms" / "user"
    defines = [f"--define=_{name}dir {folder}" for name in ("source", "srcrpm", "spec")]
    subprocess.run(["rpmbuild", "-bs", *defines, str(folder / "user.spec")], check=True, capture_output=True)
    (srpm,) = folder.glob("*.src.rpm")
    commit(folder, {"user.spec": "This is no spec file."})
    checkout = workshop.module("consumer", ["user"], more=", base: ['1']")
    options = ("--offline", "--srpm", f"user={srpm}")
    assert "base" in workshop.run(checkout, *options, code=2)
    workshop.run(checkout, *options, "-l", "base:1")
    assert "no finished local build of 'base:2'" in workshop.run(checkout, "-l", "base:2", code=2)
    consumers = list((workshop.folder / "state" / "mbs" / "local").glob("consumer-*/local/tasks/*/rpms"))
    rpms = [rpm for folder in consumers for rpm in folder.glob("user-1.0-1*.noarch.rpm")]
    assert len(rpms) == 1
