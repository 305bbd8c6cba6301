"""``mbs-manager doctor`` on hubs that lack something."""

from __future__ import annotations

import time
from io import StringIO
from pathlib import Path

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError

from mbs.states import BuildState
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.rigs import KojiRig, koji_system
from tests.factories import module_build
from tests.processes import Redis, free_port


def _hints(rig: KojiRig, *tags: str) -> dict[str, str]:
    return {f"{each.code} {each.key}".strip(): each.hint for each in rig.system.examine(tags)}


def test_a_hub_that_has_everything_passes(rig: KojiRig) -> None:
    assert rig.system.examine(["platform-build"]) == []


def test_everything_that_is_missing_is_named_with_its_command(rig: KojiRig) -> None:
    rig.double.callers["mbs"].permissions.clear()
    rig.double.books.permissions.discard("module-tags")
    rig.double.books.btypes.discard("module")
    rig.double.books.generators.clear()
    del rig.double.books.tags["modular-updates-candidate"]
    rig.double.createTag(rig.double.callers["kojiadmin"], "bare")
    run = "Run as an admin: koji "
    assert _hints(rig, "gone", "bare") == {
        "koji_permission_missing tag": f"{run}grant-permission tag mbs",
        "koji_permission_missing target": f"{run}grant-permission target mbs",
        "koji_permission_missing module-tags": f"{run}grant-permission --new module-tags mbs",
        "koji_type_missing": f"{run}call addBType module",
        "koji_generator_missing": f"{run}grant-cg-access --new mbs module-build-service",
        "koji_tag_missing gone": f"{run}add-tag --arches=x86_64 gone",
        "koji_tag_without_arches bare": f"{run}edit-tag --arches=x86_64 bare",
        "koji_tag_missing modular-updates-candidate": f"{run}add-tag modular-updates-candidate",
    }


def test_old_hubs_and_urgent_builds_need_more(double: HubDouble, tmp_path: Path) -> None:
    double.callers["mbs"].permissions.discard("repo")
    double.faults.old = True
    keys = {each.key for each in koji_system(double, tmp_path, priority=-5).examine([])}
    assert keys == {"repo", "admin"}


def test_a_failed_login_is_the_only_problem_reported(double: HubDouble, tmp_path: Path) -> None:
    double.callers["mbs"].password = "changed"
    (problem,) = koji_system(double, tmp_path).examine([])
    assert problem.code == "koji_login_failed"


@pytest.mark.django_db
def test_the_command_asks_about_the_base_modules_of_the_database(
    rig: KojiRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builds.management.commands.doctor.build_system", lambda: rig.system)
    out = StringIO()
    call_command("doctor", stdout=out)
    assert "The service is ready to work." in out.getvalue()
    assert "ready to build" in out.getvalue()
    module_build(name="platform", state=BuildState.READY, koji_tag="module-platform-gone")
    with pytest.raises(CommandError, match="has 1 problem"):
        call_command("doctor", stdout=out)
    assert "koji add-tag --arches=x86_64 module-platform-gone" in out.getvalue()


def test_a_base_module_that_fills_no_buildroot_is_named(rig: KojiRig) -> None:
    admin = rig.double.callers["kojiadmin"]
    rig.double.createTag(admin, "bare", arches="x86_64")
    assert rig.system.examine(["bare"]) == [], "its document fills them"
    (problem,) = rig.system.examine(["bare", "platform-build"], ["bare", "platform-build"])
    assert (problem.code, problem.key) == ("koji_empty_buildroot", "bare")
    assert "koji add-group bare srpm-build" in problem.hint


def test_an_unreachable_address_of_repositories_is_named(rig: KojiRig, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/repos"
    (problem,) = koji_system(rig.double, tmp_path, repository_url=url).examine([])
    assert problem.code == "koji_repository_url"
    assert url in problem.message


def _doctor() -> str:
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("doctor", stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_a_base_module_without_a_tag_is_named(
    rig: KojiRig, monkeypatch: pytest.MonkeyPatch, settings
) -> None:
    settings.MBS = settings.MBS.model_copy(update={"SYSTEM": "koji"})
    monkeypatch.setattr("builds.management.commands.doctor.build_system", lambda: rig.system)
    module_build(name="platform", state=BuildState.READY)
    assert "has no koji_tag" in _doctor()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("place", "error", "text"),
    [
        (
            "connection.ensure_connection",
            OperationalError("connection refused"),
            "cannot be used: connection re",
        ),
        ("health.outdated", ProgrammingError("no such table"), "The database cannot be used: no such table"),
    ],
)
def test_a_database_that_is_away_or_empty_is_a_finding(
    rig: KojiRig, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, text: str
) -> None:
    monkeypatch.setattr("builds.management.commands.doctor.build_system", lambda: rig.system)

    def fail() -> None:
        raise error

    monkeypatch.setattr(f"builds.services.checkup.{place}", fail)
    assert text in _doctor()


@pytest.mark.django_db
def test_redis_and_clocks_are_looked_at(rig: KojiRig, monkeypatch: pytest.MonkeyPatch, redis: Redis) -> None:
    monkeypatch.setattr("builds.management.commands.doctor.build_system", lambda: rig.system)
    with monkeypatch.context() as patch:
        patch.setattr("builds.services.checkup.time.time", lambda: time.monotonic() + 1)
        assert "that of Redis" in _doctor()
    monkeypatch.setattr(current_app.conf, "broker_url", f"redis://127.0.0.1:{free_port()}/0")
    assert "Redis cannot be used" in _doctor()
