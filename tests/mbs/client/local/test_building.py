"""``mbs local`` for real: RPMs by this machine's rpmbuild, from checkouts in a temporary folder."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from mbs.client.demo.install import finished_module, has_dnf, installed_files
from mbs.client.demo.install import run as run_dnf
from tests.gitrepos import commit
from tests.mbs.client.local.workshop import Workshop


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
