"""``mbs-manager doctor`` on hubs that lack something."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from mbs.states import BuildState
from tests.buildsys.rigs import KojiRig, koji_system
from tests.factories import module_build
from tests.koji.double import HubDouble


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


def test_a_login_that_fails_is_all_there_is_to_say(double: HubDouble, tmp_path: Path) -> None:
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
    assert "ready to build" in out.getvalue()
    module_build(name="platform", state=BuildState.READY, koji_tag="module-platform-gone")
    with pytest.raises(CommandError, match="lacks 1 thing"):
        call_command("doctor", stdout=out)
    assert "koji add-tag --arches=x86_64 module-platform-gone" in out.getvalue()
