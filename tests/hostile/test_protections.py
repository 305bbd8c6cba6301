"""Builders start only on machines that isolate builds as production requires."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery.signals import celeryd_after_setup
from django.core.management import CommandError, call_command

from builds.services import local_builds
from buildsys.local import cgroups, identities, syscalls
from buildsys.local.protections import missing, protections
from buildsys.local.sandbox import Limits
from buildsys.local.system import LocalBuildSystem
from buildsys.simulated import SimulatedBuildSystem
from mbs.errors import ConfigurationError

HERE = Path(__file__).resolve().parents[2]
#: Nobody's own number is among these.
TAKEN = Limits(users=range(65_534, 65_536))


@pytest.fixture
def unprotected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine for whose kernel there is no filter."""
    monkeypatch.setattr(syscalls, "_ARCHITECTURES", {})


def system(folder: Path, *, lenient: bool, limits: Limits | None = None) -> LocalBuildSystem:
    return LocalBuildSystem(folder, send=lambda number, delay: None, lenient=lenient, limits=limits)


def test_a_builder_in_production_refuses_an_unprotected_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unprotected: None
) -> None:
    monkeypatch.setattr(local_builds, "build_system", lambda: system(tmp_path, lenient=False))
    with pytest.raises(ConfigurationError, match="no system call filter") as caught:
        local_builds.check_start()
    assert "Build on x86_64 or aarch64" in caught.value.hint


def test_a_standalone_builder_warns_about_missing_protections_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unprotected: None, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local_builds, "build_system", lambda: system(tmp_path, lenient=True))
    with caplog.at_level(logging.WARNING):
        local_builds.check_start()
    assert caplog.text.count("no system call filter") == 1


def test_other_build_systems_need_no_protection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unprotected: None
) -> None:
    other = SimulatedBuildSystem(tmp_path / "x", send=lambda number, delay: None, build_seconds=0)
    monkeypatch.setattr(local_builds, "build_system", lambda: other)
    local_builds.check_start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses the users of builds")
def test_a_worker_of_builds_ends_at_its_start(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "MBS_SYSTEM": "local",
        "MBS_DATA_DIR": str(tmp_path),
        "MBS_LOCAL_BUILD_PROTECTION": "full",
        "MBS_LOCAL_BUILD_FIRST_USER": "65534",
        "MBS_BROKER_URL": "redis://127.0.0.1:1/0",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    argv = [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "--pool=solo", "-Q", "builds"]
    refused = subprocess.run(
        argv, env=environment, cwd=HERE, capture_output=True, text=True, timeout=240, check=False
    )
    assert refused.returncode != 0
    assert "Builds cannot run safely on this machine." in refused.stderr
    assert "LOCAL_BUILD_FIRST_USER" in refused.stderr


def test_workers_of_other_queues_do_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(local_builds, "check_start", lambda: asked.append(1))
    for queues in (["workflow", "sweeps"], ["builds"]):
        consumed = SimpleNamespace(consume_from=dict.fromkeys(queues))
        instance = SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=consumed)))
        celeryd_after_setup.send(sender="worker", instance=instance, conf=None)
    assert asked == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses the users of builds")
def test_ids_that_belong_to_somebody_are_no_protection() -> None:
    assert missing(Limits()) == []
    (lacking,) = missing(TAKEN)
    assert "nobody" in lacking.text or "one of these" in lacking.text


def test_the_command_that_grants_ids_takes_none_that_are_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "subuid").write_text("# comment\njoe:100000:65536\nann:300000:10\nbroken\n")
    (tmp_path / "subgid").write_text("joe:100000:65536\n")
    monkeypatch.setattr(identities, "_SUBUID", tmp_path / "subuid")
    monkeypatch.setattr(identities, "_SUBGID", tmp_path / "subgid")
    command = identities.grant_command()
    assert command.startswith("usermod --add-subuids 300010-365545 --add-subgids 300010-365545 ")
    assert identities.conflicts(range(99_000, 100_001)) == f"{tmp_path}/subuid gives some of these to joe"
    assert identities.conflicts(range(99_000, 100_000)) == ""


def test_without_subordinate_ids_the_command_that_adds_them_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 64_123)
    monkeypatch.setattr(identities.shutil, "which", lambda name: f"/usr/bin/{name}")
    identities._account.cache_clear()
    (lacking,) = [each for each in missing(Limits()) if "subordinate" in each.text]
    identities._account.cache_clear()
    assert lacking.remedy.startswith("Run as root: usermod --add-subuids ")
    assert lacking.remedy.endswith(" 64123")


@pytest.mark.django_db
def test_doctor_lists_the_protections_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unprotected: None
) -> None:
    monkeypatch.setattr(
        "builds.management.commands.doctor.build_system", lambda: system(tmp_path / "data", lenient=False)
    )
    output = StringIO()
    with pytest.raises(CommandError, match="build system local has 1 problem"):
        call_command("doctor", stdout=output)
    lines = output.getvalue().splitlines()
    assert any(line.startswith("in force:     Builds see only programs") for line in lines)
    assert any(line.startswith("not in force: There is no system call filter") for line in lines)


def test_missing_control_groups_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "place", lambda: None)
    (groups,) = [each for each in protections(Limits()) if "control group" in each.text]
    assert not groups.in_force
    assert not groups.required


def test_data_below_a_folder_that_builds_see_is_refused(tmp_path: Path) -> None:
    made = system(tmp_path / "data", lenient=True, limits=Limits(shows=(str(tmp_path),)))
    (problem,) = [each for each in made.examine([]) if each.code == "data_visible"]
    assert str(tmp_path) in problem.hint
