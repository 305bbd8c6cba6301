"""The filter ``rpm`` of module builds, which only Koji supports."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from buildsys.base import BuildSystemUnavailable
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Access
from buildsys.koji.system import KojiBuildSystem
from buildsys.koji.tags import TagOptions
from mbs.states import BuildState
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.rigs import KojiRig
from tests.factories import module_build

LIST = "/module-build-service/2/module-builds/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def nvr(rig: KojiRig, monkeypatch: pytest.MonkeyPatch) -> str:
    """A build of the package ``one`` that is in the first of two modules."""
    monkeypatch.setattr("builds.services.build_system.build_system", lambda: rig.system)
    modules = [rig.module("1"), rig.module("2")]
    for module in modules:
        module_build(name=module.name, version=module.version, state=BuildState.READY, koji_tag=module.tag)
    nvr = rig.build(rig.job(modules[0], 1, "one"))
    rig.tag(modules[0], [nvr])
    return nvr


def _versions(client: Client, rpm: str, status: int = 200) -> list[str]:
    answer = client.get(LIST, {"rpm": rpm})
    assert answer.status_code == status, answer.content
    return sorted(item["version"] for item in answer.json().get("items", []))


def test_modules_are_found_by_an_rpm(client: Client, nvr: str) -> None:
    for rpm in (f"{nvr}.src", nvr.replace("one-", "one-devel-", 1) + ".noarch", nvr):
        assert _versions(client, rpm) == ["1"]
    answer = client.get(f"{LIST}?rpm={nvr}.noarch")
    assert answer.json()["meta"]["total"] == 1, "a plus that the client did not quote"


def test_a_front_that_cannot_log_in_searches(
    client: Client, double: HubDouble, nvr: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = double.write_profile(tmp_path / "front.conf")
    access = Access(config, "koji", user="mbs", password="wrong", timeout=5, retry_interval=0.01)
    front = KojiBuildSystem(KojiOptions(access, tags=TagOptions("module-tags")))
    monkeypatch.setattr("builds.services.build_system.build_system", lambda: front)
    with pytest.raises(BuildSystemUnavailable) as caught:
        front.hub.call("getPerms")
    assert caught.value.code == "koji_login_failed"
    assert _versions(client, f"{nvr}.src") == ["1"]


def test_only_tags_of_modules_count(client: Client, rig: KojiRig, nvr: str) -> None:
    with rig.double.lock:
        tags, build = rig.double.books.tags, rig.double.books.build(nvr)
        rig.double.createTag(rig.double.callers["kojiadmin"], "other")
        rig.double.put(tags["other"], build)
    assert rig.system.tags_holding(f"{nvr}.src") == ["module-tiny-1-1-c0ffee12"]
    module_build(name="odd", version="3", koji_tag="other")
    assert _versions(client, f"{nvr}.src") == ["1"]


def test_an_rpm_that_no_module_holds_is_in_none(client: Client, nvr: str) -> None:
    assert _versions(client, "unknown-1-1.noarch") == []


@pytest.mark.parametrize("rpm", ["bash", "bash-1", "--", "a-1-1/b.noarch", "a-\u20081-1"])
def test_impossible_names_of_rpms_are_refused(client: Client, nvr: str, rpm: str) -> None:
    _versions(client, rpm, 400)


def test_a_hub_that_is_away_is_an_outage(client: Client, rig: KojiRig, nvr: str) -> None:
    rig.double.faults.offline = True
    with pytest.raises(BuildSystemUnavailable):
        rig.system.tags_holding(nvr)
    _versions(client, nvr, 503)
