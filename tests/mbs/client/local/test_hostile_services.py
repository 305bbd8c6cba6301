"""RPMs of modules of another service that is hostile or broken."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from buildsys.local.modules import ModuleFolder
from mbs.client.local import earlier_builds, rpm_repository
from mbs.client.local.downloads import BadDownload
from mbs.client.local.module_cache import cache_root
from mbs.client.local.other_service import OtherService
from mbs.errors import MBSError, Unavailable
from tests.mbs.client.local.other import (
    ARCH,
    BUILD,
    DOCUMENT,
    MODULE,
    PRIMARY,
    TAG,
    Other,
    build_rpm,
    streamed,
)


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The RPM of the module."""
    return build_rpm(tmp_path_factory.mktemp("rpm"))


@pytest.fixture
def other(rpm: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Other:
    """A service that is still honest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Other(rpm)


def take(other: Other) -> earlier_builds.EarlierBuild | None:
    """Take the module from the service."""
    other.said = []
    with OtherService(other.server, other.said.append, transport=other.transport) as service:
        return service.module(MODULE)


def stored() -> set[str]:
    """Return the files in the cache, without the lock."""
    return {path.name for path in cache_root().rglob("*") if path.is_file() and path.name != "lock"}


def test_a_module_is_downloaded_once_and_can_be_built_against(other: Other, tmp_path: Path) -> None:
    found = take(other)
    assert found is not None
    assert found.nsvc == MODULE
    assert "1 RPM" in other.said[0]
    other.asked.clear()
    assert take(other) == found
    assert other.asked == []
    earlier_builds.take(found, tmp_path / "data")
    (content,) = ModuleFolder(tmp_path / "data" / "local", TAG).content()
    assert content[0].read_bytes() == other.rpm
    assert content[1].nvr == BUILD
    assert not list(cache_root().rglob("downloads/*/*"))


def test_an_interrupted_download_keeps_what_has_arrived(other: Other) -> None:
    other.files[other.repo + "/two.rpm"] = httpx.Response(503)
    two = other.package(name="two", href="two.rpm", digest="ab" * 32)
    other.publish(other.repo, packages=other.package() + two)
    with pytest.raises(Unavailable, match="503"):
        take(other)
    other.publish(other.repo)
    other.asked.clear()
    assert take(other)
    assert f"{other.server}{other.repo}/one.rpm" not in other.asked


@pytest.mark.parametrize(
    ("topdir", "repository"),
    [
        (
            "https://kojipkgs.example.com/packages/base/1/92026.c0ffee12/files/module",
            "/repos/{tag}-build/latest/{arch}",
        ),
        ("https://kojipkgs.example.com/repos/{tag}-build/latest", "/repos/{tag}-build/latest/{arch}"),
    ],
)
def test_a_service_on_koji_names_the_root_of_its_repositories(
    other: Other, topdir: str, repository: str
) -> None:
    other.files.clear()
    other.publish(repository.format(tag=TAG, arch=ARCH))
    other.build["topdir"] = topdir.format(tag=TAG)
    assert take(other)


@pytest.mark.parametrize(
    "topdir", [None, 7, "", "/srv/mbs/repo", "file:///etc", "ftp://mbs.example.com/repo"]
)
def test_a_service_without_a_usable_repository_is_said_to_have_none(other: Other, topdir: object) -> None:
    other.build["topdir"] = topdir
    assert take(other) is None
    assert "without its RPMs: it publishes none" in other.said[0]


def test_a_repository_that_is_gone_or_has_other_builds_is_named(other: Other) -> None:
    other.publish(other.repo, source="one-0.9-1")
    other.build["repository_url"] = f"{other.server}/gone"
    assert take(other) is None
    assert f"there are none in {other.server}{other.repo} and {other.server}/gone" in other.said[0]


def test_components_without_rpms_in_the_repository_are_named(other: Other) -> None:
    last = {f"last{number:02}": {"nvr": f"last{number:02}-1-1", "state": 1} for number in range(12)}
    other.build["tasks"]["rpms"] |= last
    assert take(other)
    assert (
        f"has no RPMs of last00-1-1, {', '.join(f'last{n:02}-1-1' for n in range(1, 10))} and 2 more"
        in (other.said[0])
    )


def _index(other: Other, **changes: object) -> None:
    packed = gzip.compress(PRIMARY.format(packages=other.package()).encode())
    other.publish_list(other.repo, packed, **changes)


def _list(other: Other, text: str) -> None:
    other.publish_list(other.repo, gzip.compress(text.encode()))


def _redirect(other: Other, place: str) -> None:
    other.files[other.repo + "/one.rpm"] = httpx.Response(302, headers={"Location": place})


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
ATTACKS: dict[str, tuple[Callable[[Other], object], str]] = {
    "redirect to a file": (lambda other: _redirect(other, "file:///etc/passwd"), "not an http or https"),
    "redirect to another host": (
        lambda other: _redirect(other, "https://evil.example.com/x"),
        "another host",
    ),
    "redirect to http": (lambda other: _redirect(other, "http://mbs.example.com/x"), "reached by https"),
    "redirect to this machine": (lambda other: _redirect(other, "https://127.0.0.1/x"), "of this machine"),
    "endless redirects": (lambda other: _redirect(other, "one.rpm"), "more than 5 times"),
    "redirect to nowhere": (lambda other: _redirect(other, ""), "not an http or https"),
    "redirect without a place": (
        lambda other: other.files.update({other.repo + "/one.rpm": httpx.Response(302)}),
        "not an http or https",
    ),
    "other RPM": (
        lambda other: other.files.update({other.repo + "/one.rpm": b"x" * len(other.rpm)}),
        "digest differs",
    ),
    "endless RPM": (
        lambda other: other.files.update({other.repo + "/one.rpm": other.rpm + b"x"}),
        "has more than",
    ),
    "short RPM": (lambda other: other.files.update({other.repo + "/one.rpm": b"x"}), "digest differs"),
    "other list": (lambda other: _index(other, digest="ab" * 32), "digest differs"),
    "list elsewhere": (lambda other: _index(other, href="file:///etc/passwd"), "outside"),
    "list on another host": (lambda other: _index(other, href="//evil.example.com/x"), "outside"),
    "old digest": (lambda other: _index(other, kind="md5", digest="ab" * 16), "no sha256"),
    "old digest of an RPM": (
        lambda other: other.publish(other.repo, kind="sha", digest="ab" * 20),
        "no sha256",
    ),
    "no digest": (lambda other: other.publish(other.repo, digest=""), "no sha256"),
    "RPM elsewhere": (lambda other: other.publish(other.repo, href="file:///etc/passwd"), "outside"),
    "RPM above": (lambda other: other.publish(other.repo, href="../../../../etc/passwd"), "outside"),
    "RPM on another port": (
        lambda other: other.publish(other.repo, href="https://mbs.example.com:1/x"),
        "outside",
    ),
    "name with folders": (lambda other: other.publish(other.repo, name="../../../one"), "not valid"),
    "hidden name": (lambda other: other.publish(other.repo, name=".one"), "not valid"),
    "long name": (lambda other: other.publish(other.repo, name="a" * 250), "not valid"),
    "negative size": (lambda other: other.publish(other.repo, size=-1), "not valid"),
    "odd size": (lambda other: other.publish(other.repo, size="1e3"), "not valid"),
    "huge size": (lambda other: other.publish(other.repo, size=9 << 30), "more than 8 GiB"),
    "other name": (lambda other: other.publish(other.repo, name="sudo"), "contains another package"),
    "entities": (lambda other: _list(other, f"{ENTITIES}<metadata>&b;</metadata>"), "document type"),
    "external entity": (lambda other: _list(other, f"{EXTERNAL}<metadata>&a;</metadata>"), "document type"),
    "no XML": (lambda other: _list(other, "<metadata>"), "not XML"),
    "deep XML": (lambda other: _list(other, "<a>" * 100_000), "too deep"),
    "long attribute": (lambda other: _list(other, f'<package a="{"a" * 10_000}"/>'), "too long"),
    "damaged list": (lambda other: other.publish_list(other.repo, b"\x1f\x8bdamaged"), "unpacked"),
    "no list": (
        lambda other: other.files.update({other.repo + "/repodata/repomd.xml": b"<repomd/>"}),
        "no list",
    ),
    "tag with folders": (lambda other: other.build.update(koji_tag="../../x"), "no valid tag"),
    "tag of another module": (
        lambda other: other.build.update(koji_tag="module-consumer-1-92026-c0ffee12"),
        "no valid tag",
    ),
    "no tag": (lambda other: other.build.update(koji_tag=None), "no valid tag"),
    "another module's document": (
        lambda other: other.build.update(modulemd=DOCUMENT.replace("name: base", "name: perl")),
        "of another module",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_and_leaves_no_module(other: Other, tmp_path: Path, attack: str) -> None:
    spoil, reason = ATTACKS[attack]
    spoil(other)
    with pytest.raises(MBSError, match=reason):
        take(other)
    assert stored() <= {
        BUILD,
        "one-1.0-1.module+el9.noarch.rpm",
        f".{BUILD}",
        "sudo-1.0-1.module+el9.noarch.rpm",
    }
    assert not list(cache_root().glob("*/modules/*"))
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}


def test_a_list_that_unpacks_to_too_much_is_refused(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm_repository, "MAX_LIST", 100_000)
    _list(other, f"<metadata>{' ' * 200_000}</metadata>")
    with pytest.raises(BadDownload, match="cannot be unpacked"):
        take(other)


def test_more_rpms_than_a_module_may_have_are_refused(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm_repository, "MAX_RPMS", 2)
    packages = "".join(other.package(name=f"one{number}") for number in range(3))
    other.publish(other.repo, packages=packages)
    with pytest.raises(BadDownload, match="more than 2 RPMs"):
        take(other)


def test_transfers_that_are_compressed_are_not_unpacked(other: Other) -> None:
    packed = streamed(gzip.compress(other.rpm), **{"Content-Encoding": "gzip"})
    other.files[other.repo + "/one.rpm"] = packed
    with pytest.raises(BadDownload):
        take(other)


def test_answers_about_another_module_are_not_used(other: Other) -> None:
    other.build["context"] = "deadbeef"
    assert take(other) is None


@pytest.mark.parametrize(
    "tasks", [None, [], {"rpms": 7}, {"rpms": {"one": 7}}, {"rpms": {"one": {"nvr": "../../x"}}}, {}]
)
def test_a_module_without_known_components_has_no_rpms(other: Other, tasks: object) -> None:
    other.build["tasks"] = tasks
    assert take(other) is None


def test_servers_do_not_share_modules(other: Other, rpm: bytes) -> None:
    assert take(other)
    evil = Other(rpm, "https://evil.example.com")
    evil.files.clear()
    assert take(evil) is None


def test_a_service_on_this_machine_may_have_its_repository_there(other: Other, rpm: bytes) -> None:
    assert take(Other(rpm, "http://127.0.0.1:8080"))
    remote = Other(rpm, "http://mbs.example.com")
    remote.build["topdir"] = f"http://127.0.0.1:8080{remote.repo}"
    with pytest.raises(BadDownload, match="address of this machine"):
        take(remote)


def test_names_of_the_right_length_are_the_only_ones_used(other: Other) -> None:
    other.build["version"] = "1"
    with OtherService(other.server, print, transport=other.transport) as service:
        assert service.module(replace(MODULE, context="x")) is None
