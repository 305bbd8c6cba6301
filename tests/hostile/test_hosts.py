"""Only an operator can allow git to reach this machine and private networks."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mbs.errors import MBSError
from scm import hosts
from scm.components import ComponentRequest, verify_components
from scm.errors import ScmError
from scm.git import Repository
from scm.hosts import is_public, pin
from scm.modules import fetch_modulemd
from scm.options import ScmOptions
from scm.urls import parse_repository
from tests.builds.conftest import Forge, document, submitted
from tests.gitrepos import make_repo, url
from tests.scm.servers import git_http, http_answers

OPTIONS = ScmOptions(allow_custom=True, timeout=20, attempts=1)

PRIVATE = [
    *(
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
    ),
    *(
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
    ),
    *(
        "::ffff:10.0.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
    ),
    *("2002:7f00:1::1", "2001:db8::1", "64:ff9b:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "140.82.121.4", "2620:52:3:1:dead:beef:cafe:fed6", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to; others as ever."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host in known:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]
        return real(host, port, *args, **options)

    monkeypatch.setattr(hosts.socket, "getaddrinfo", resolve)
    return known


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https", "git", "ssh"])
def test_nothing_is_sent_to_this_machine_whatever_it_is_called(scheme: str, host: str) -> None:
    with http_answers({"*": 200}) as (server, asked):
        port = server.rpartition(":")[2]
        with (
            pytest.raises(MBSError) as caught,
            Repository(f"{scheme}://{host}:{port}/a/b", OPTIONS) as repository,
        ):
            repository.resolve("master")
        assert asked == []
    assert caught.value.code in {"address_not_public", "repository_unreachable", "repository_invalid"}


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["169.254.169.254"]])
def test_a_name_that_leads_to_a_private_host_is_refused(
    names: dict[str, list[str]], addresses: list[str]
) -> None:
    names["forge.example.com"] = addresses
    with pytest.raises(ScmError) as caught:
        pin(parse_repository("https://forge.example.com/a"), OPTIONS)
    assert caught.value.code == "address_not_public"


def test_a_name_without_an_address_is_unreachable() -> None:
    with pytest.raises(ScmError) as caught:
        pin(parse_repository("https://nowhere.invalid/a"), OPTIONS)
    assert caught.value.code == "repository_unreachable"


def test_git_connects_to_the_address_that_was_checked(
    names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name means nothing to git's own resolver, and a proxy would resolve it by itself."""
    commit = make_repo(tmp_path / "foo", {"file": "x"})
    names["forge.invalid"] = ["127.0.0.1"]
    monkeypatch.setattr(hosts, "is_public", lambda address: True)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with git_http(tmp_path) as server:
        port = server.rpartition(":")[2]
        with Repository(f"http://forge.invalid:{port}/foo/.git", OPTIONS) as repository:
            assert repository.resolve("master") == commit


def test_the_git_protocol_connects_to_the_address_that_was_checked(names: dict[str, list[str]]) -> None:
    names["forge.invalid"] = ["8.8.8.8"]
    pinned = pin(parse_repository("git://forge.invalid/foo"), OPTIONS)
    assert pinned is not None
    assert pinned.config() == '[url "git://8.8.8.8:9418/"]\n\tinsteadOf = git://forge.invalid/\n'
    assert pinned.environment() == {"GIT_OVERRIDE_VIRTUAL_HOST": "forge.invalid"}


def test_ssh_connects_to_the_address_and_checks_the_key_of_the_name(
    names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names["forge.invalid"] = ["8.8.8.8"]
    told = tmp_path / "told"
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {told}\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(ScmError), Repository("ssh://git@forge.invalid:2222/foo", OPTIONS) as repository:
        repository.resolve("master")
    lines = told.read_text().splitlines()
    assert {"-oHostName=8.8.8.8", "-oHostKeyAlias=[forge.invalid]:2222"} <= set(lines)


def test_a_redirect_is_not_followed(names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    names["forge.invalid"] = ["127.0.0.1"]
    monkeypatch.setattr(hosts, "is_public", lambda address: True)
    with (
        http_answers({"*": 200}) as (inner, reached),
        http_answers({"*": f"{inner}/secret"}) as (outer, asked),
    ):
        port = outer.rpartition(":")[2]
        with pytest.raises(ScmError), Repository(f"http://forge.invalid:{port}/foo", OPTIONS) as repository:
            repository.resolve("master")
        assert asked
        assert reached == []


def test_files_of_this_machine_are_as_private(tmp_path: Path) -> None:
    commit = make_repo(tmp_path / "foo", {"foo.yaml": "x"})
    address = url(tmp_path / "foo")
    with pytest.raises(ScmError) as caught:
        fetch_modulemd(f"{address}?#{commit}", "", OPTIONS)
    assert caught.value.code == "address_not_public"
    with pytest.raises(MBSError) as refused:
        verify_components([ComponentRequest("foo", address)], OPTIONS)
    assert refused.value.problems[0].code == "address_not_public"
    trusting = replace(OPTIONS, trusted_prefixes=(url(tmp_path) + "/",))
    assert fetch_modulemd(f"{address}?#{commit}", "", trusting).commit == commit
    allowing = replace(OPTIONS, allow_private=True)
    assert fetch_modulemd(f"{address}?#{commit}", "", allowing).commit == commit


@pytest.mark.parametrize(
    "prefix", ["http://", "http:///", "https://127.0.0.1/", "http://127.0.0.1.example.com/", ""]
)
def test_a_prefix_without_the_host_trusts_nothing(prefix: str) -> None:
    options = replace(OPTIONS, trusted_prefixes=(prefix,))
    with pytest.raises(ScmError):
        pin(parse_repository("http://127.0.0.1/x"), options)


def test_a_component_of_a_submission_lies_on_a_public_host(
    forge: Forge, sent: list[int], option: Callable[..., None]
) -> None:
    option(RPMS_ALLOW_REPOSITORY=True)
    with http_answers({"*": 200}) as (server, asked):
        text = document({"alpha": f"repository: '{server}/rpms/alpha'"}, more="  name: tiny\n  stream: '1'\n")
        with pytest.raises(MBSError) as caught:
            submitted(modulemd=text)
        assert asked == []
    assert caught.value.problems[0].code == "address_not_public"


def test_a_module_of_a_custom_address_lies_on_a_public_host(
    forge: Forge, sent: list[int], option: Callable[..., None]
) -> None:
    option(ALLOW_CUSTOM_SCMURLS=True)
    with http_answers({"*": 200}) as (server, asked):
        with pytest.raises(MBSError) as caught:
            submitted(scmurl=f"{server}/modules/tiny?#{'0' * 40}", branch="1")
        assert asked == []
    assert caught.value.code == "address_not_public"
