"""Named servers in ``servers.toml``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mbs.client import address, servers
from mbs.client.cli import main
from mbs.client.servers import Auth
from mbs.errors import InvalidInput
from tests.mbs.client.fake_server import FakeServer, module_build


def write(home: Path, text: str) -> None:
    folder = home / "config" / "mbs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "servers.toml").write_text(text)


@pytest.fixture
def two(home: Path, server: FakeServer) -> str:
    """Two servers, of which the first one is there."""
    write(
        home,
        f"""
        default = "here"
        [servers.here]
        url = "{server.url}/module-build-service/2/"
        [servers.gone]
        url = "http://127.0.0.1:1"
        auth = "token"
        """,
    )
    return server.url


def mbs(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    "arguments",
    ["list", "--server here list", "list --server here", "--server gone list --server here"],
)
def test_a_name_can_replace_an_address(two: str, server: FakeServer, arguments: str) -> None:
    server.builds[1] = module_build(1)
    done = mbs(*arguments.split())
    assert done.exit_code == 0, done.output
    assert "quiet" in done.stdout


def test_the_variable_takes_a_name_or_an_address_and_options_win(
    two: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, code in (("here", 0), (server.url, 0), ("gone", 3), ("127.0.0.1:1", 3)):
        monkeypatch.setenv("MBS_SERVER", value)
        assert mbs("list").exit_code == code, value
    assert mbs("--server", "here", "list").exit_code == 0
    assert mbs("list", "--server", "here").exit_code == 0


def test_an_address_of_a_named_server_has_its_settings(two: str) -> None:
    assert servers.find("http://127.0.0.1:1/").auth is Auth.TOKEN
    assert servers.find("http://127.0.0.1:2/").auth is Auth.OIDC


def test_a_name_that_is_unknown_lists_the_known_ones(two: str) -> None:
    refused = mbs("--server", "hree", "list")
    assert (refused.exit_code, "There is no server named 'hree'" in refused.stderr) == (2, True)
    assert "gone, here" in refused.stderr


def test_without_a_file_a_name_is_a_host(home: Path) -> None:
    assert servers.find("myhost").url == "http://myhost"


def test_local_is_the_service_of_this_machine(two: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = mbs("--server", "local", "list")
    assert (refused.exit_code, "runs on this machine" in refused.stderr) == (3, True)
    running = address.Running("http://127.0.0.1:1234", 1, str(home))
    monkeypatch.setattr(address, "running", lambda data: running)
    found = servers.find("local")
    assert (found.name, found.url, found.own) == ("local", "http://127.0.0.1:1234", True)
    assert servers.find(None).name == "here"
    assert "local" in mbs("servers").stdout


def test_servers_are_listed(two: str) -> None:
    rows = json.loads(mbs("servers", "--json").stdout)
    assert rows == [
        {"name": "here", "url": two, "auth": "oidc", "login": "", "default": True},
        {"name": "gone", "url": "http://127.0.0.1:1", "auth": "token", "login": "", "default": False},
    ]
    assert "default" in mbs("servers").stdout


def test_without_servers_the_file_is_named(home: Path) -> None:
    assert str(home / "config" / "mbs" / "servers.toml") in mbs("servers").stdout


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "is not valid"),
        ("x = 1", "the key 'x' is unknown"),
        ("servers = 7", "'servers' is not a table"),
        ("default = 'a'", "the default 'a' is not one of its servers"),
        ("[servers.a]", "the server 'a' has no 'url'"),
        ("[servers.a]\nurl = 7", "the server 'a' has no 'url'"),
        ("[servers.a]\nurl = 'ftp://x'", "is not the URL of a server"),
        ("[servers.a]\nurl = 'x'\ntoken = 'y'", "the key 'token' of the server 'a' is unknown"),
        (
            "[servers.a]\nurl = 'x'\nauth = 'magic'",
            "is not one of oidc, token, none",
        ),
        ("[servers.a]\nurl = 'x'\nauth = []", "'auth' of the server 'a' is not one of"),
        ("[servers.local]\nurl = 'x'", "other than 'local'"),
        ("[servers.'a b']\nurl = 'x'", "needs a name of letters"),
        ("#" * 200_000, "it is larger than"),
    ],
    ids=str,
)
def test_an_invalid_file_is_refused_with_the_reason(home: Path, text: str, reason: str) -> None:
    write(home, text)
    with pytest.raises(InvalidInput) as caught:
        servers.find(None)
    assert reason in caught.value.message
    assert mbs("list").exit_code == 2


def test_no_credentials_are_sent_where_none_are_wanted(home: Path, server: FakeServer) -> None:
    write(home, f"[servers.open]\nurl = '{server.url}'\nauth = 'none'")
    refused = mbs("login", "--server", "open")
    assert (refused.exit_code, "No credentials are sent to the server open." in refused.stderr) == (2, True)


def test_a_server_for_tokens_has_no_device_login(two: str) -> None:
    refused = mbs("login", "--server", "gone")
    assert (refused.exit_code, "mbs login --token" in refused.stderr) == (2, True)
