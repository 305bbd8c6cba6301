"""``mbs login`` against the service and an OpenID provider over HTTP."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builds.models import ApiToken
from mbs.client import credentials, login, logins, provider
from mbs.states import BuildState
from tests.builds.services.auth.oidc_provider import Issuer
from tests.factories import module_build
from tests.mbs.client.login.commands import cancel, mbs
from tests.processes import free_port

pytestmark = pytest.mark.django_db(transaction=True)


class Keyring(SimpleNamespace):
    """A keyring in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, name: str, text: str) -> None:
        """Keep a text."""
        self.kept[service, name] = text

    def get_password(self, service: str, name: str) -> str | None:
        """Return a text."""
        return self.kept.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        """Forget a text."""
        del self.kept[service, name]


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """A keyring."""
    keyring = Keyring()
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    return keyring


def begun(issuer: Issuer, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Let the provider give these answers before the token of the next login."""
    begin = issuer.begin_device

    def with_answers() -> dict[str, Any]:
        content = begin()
        issuer.devices[content["device_code"]] = list(answers)
        return content

    monkeypatch.setattr(issuer, "begin_device", with_answers)


def test_a_login_shows_address_and_code_and_is_used_by_the_other_commands(
    verifying: Issuer, server: str, home: Path
) -> None:
    done = mbs("login")
    assert done.exit_code == 0, done.output
    assert f"{verifying.url}/device" in done.stderr
    assert "ABCD-EFGH" in done.stderr
    assert f"Logged in at {server} as ann. The token is in a file that only you can read" in done.stdout
    assert stat.S_IMODE((home / "logins.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert not [each for each in home.iterdir() if each.name not in ("logins.json", "logins.lock")]
    canceled = cancel()
    assert "canceled: Canceled by ann." in canceled.stdout, canceled.output


def test_a_keyring_keeps_the_token(keyring: Keyring, server: str, home: Path, verifying: Issuer) -> None:
    assert "The token is in the keyring." in mbs("login").stdout
    assert json.loads(keyring.kept["mbs", server])["username"] == "ann"
    assert not [token for token in verifying.tokens if token in (home / "logins.json").read_text()]
    assert cancel().exit_code == 0
    assert "is deleted" in mbs("logout").stdout
    assert not keyring.kept


@pytest.mark.parametrize("fault", ["raises", "forgets"])
def test_a_keyring_that_does_not_work_is_replaced_by_the_file(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def fail(*_: str) -> None:
        if fault == "raises":
            raise RuntimeError("no D-Bus")

    monkeypatch.setattr(keyring, "set_password", fail)
    assert "in a file that only you can read" in mbs("login").stdout
    assert cancel().exit_code == 0


def test_a_keyring_that_is_locked_later_is_an_error(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    mbs("login")

    def locked(*_: str) -> None:
        raise RuntimeError("it is locked")

    monkeypatch.setattr(keyring, "get_password", locked)
    refused = cancel()
    assert (refused.exit_code, "The keyring cannot be read: it is locked." in refused.stderr) == (3, True)
    assert mbs("list").exit_code == 0


def test_the_interval_is_kept_and_slowed_down(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    begun(verifying, monkeypatch, "authorization_pending", "slow_down", "authorization_pending", "slow_down")
    assert mbs("login").exit_code == 0
    assert slept == [1, 1, 6, 6, 11]


def test_a_provider_that_is_away_for_a_moment_is_asked_less_often(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    grant = verifying.grant
    answers = [503, 503]

    def away(form: dict[str, str], authorization: str) -> tuple[int, Any]:
        return (answers.pop(), {}) if answers else grant(form, authorization)

    monkeypatch.setattr(verifying, "grant", away)
    assert mbs("login").exit_code == 0
    assert slept == [1, 2, 4]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("access_denied", "You have refused the login."),
        ("expired_token", "The login was not confirmed in time."),
        ("invalid_client", "127.0.0.1 refused the login: invalid_client."),
    ],
)
def test_a_login_that_fails_stores_nothing(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch, home: Path, answer: str, message: str
) -> None:
    begun(verifying, monkeypatch, "authorization_pending", answer)
    refused = mbs("login")
    assert (refused.exit_code, message in refused.stderr) == (2, True), refused.output
    assert not (home / "logins.json").exists()


def test_a_login_ends_when_it_is_never_confirmed(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    begun(verifying, monkeypatch, *["authorization_pending"] * 1000)
    refused = mbs("login")
    assert (refused.exit_code, "not confirmed in time" in refused.stderr) == (2, True)
    assert sum(slept) <= 600


@pytest.mark.parametrize("rotating", [False, True])
def test_an_expired_token_is_renewed(verifying: Issuer, home: Path, rotating: bool) -> None:
    verifying.rotating, verifying.seconds = rotating, 20
    mbs("login")
    before = json.loads((home / "logins.json").read_text())
    assert cancel().exit_code == 0
    assert json.loads((home / "logins.json").read_text()) != before
    assert cancel().exit_code == 0


def test_a_token_that_the_server_refuses_is_renewed(
    verifying: Issuer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mbs("login")
    content = json.loads((home / "logins.json").read_text())
    next(iter(content.values()))["login"]["token"] = "old"
    (home / "logins.json").write_text(json.dumps(content))
    assert cancel().exit_code == 0
    assert "ann" not in mbs("token", "list").stderr


def test_a_login_that_the_provider_ended_is_reported_and_reads_still_work(verifying: Issuer) -> None:
    verifying.seconds = 20
    mbs("login")
    verifying.end_logins("ann")
    asked = sum(verifying.asked.values())
    assert mbs("list").exit_code == 0
    assert sum(verifying.asked.values()) == asked
    refused = cancel()
    assert (refused.exit_code, "Your login at 127.0.0.1 has ended." in refused.stderr) == (2, True)
    assert "mbs login" in refused.stderr


def test_another_process_may_renew_the_token_first(
    verifying: Issuer, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifying.rotating = True
    mbs("login")
    old = logins.load(server)
    assert old
    logins.save(server, provider.renew(old, server))
    new = logins.load(server)
    assert credentials.StoredLogin(server)._renewed(old) == new


def test_reads_that_need_a_login_use_it() -> None:
    mbs("login")
    build = module_build(owner="ann")
    module_build(owner="bob")
    assert [each["id"] for each in json.loads(mbs("list", "--mine", "--json").stdout)] == [build.pk]


def test_a_given_token_is_preferred(verifying: Issuer) -> None:
    mbs("login")
    verifying.groups["bob"] = ["packager"]
    build = module_build(owner="bob", state=BuildState.BUILD)
    done = mbs("cancel", str(build.pk), "--token", verifying.signed("bob"))
    assert "Canceled by bob." in done.stdout


def test_an_api_token_is_stored_from_standard_input(home: Path) -> None:
    mbs("login")
    token = mbs("token", "create", "nightly", "--scope", "cancel").stdout
    done = mbs("login", "--token", input=token)
    assert "as ann. The token is in a file" in done.stdout, done.output
    assert token.strip() in (home / "logins.json").read_text()
    assert cancel().exit_code == 0
    assert ApiToken.objects.get().last_used_at is not None


@pytest.mark.parametrize("text", ["", "\n", "two words", "tök", "x" * 9000])
def test_nonsense_on_standard_input_is_refused(home: Path, text: str) -> None:
    refused = mbs("login", "--token", input=text)
    assert (refused.exit_code, "Standard input contains no token." in refused.stderr) == (2, True)
    assert not (home / "logins.json").exists()


def test_a_token_that_the_server_does_not_know_is_not_stored(home: Path) -> None:
    refused = mbs("login", "--token", input="mbs_unknown\n")
    assert (refused.exit_code, "unknown or revoked" in refused.stderr) == (2, True)
    assert not (home / "logins.json").exists()


def test_no_browser_is_opened_unless_asked_for(verifying: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(login.webbrowser, "open", opened.append)
    mbs("login")
    assert opened == []
    mbs("login", "--browser")
    assert opened == [f"{verifying.url}/device?user_code=ABCD-EFGH"]


def test_without_device_logins_the_remedy_is_named(option: Callable[..., None]) -> None:
    option(OIDC_DEVICE_CLIENT="")
    refused = mbs("login")
    assert refused.exit_code == 2
    assert "has no login for command lines" in refused.stderr
    assert "mbs login --token" in refused.stderr


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"device_authorization_endpoint": None}, "has no device_authorization_endpoint"),
        ({"token_endpoint": "http://id.example.com/token"}, "is not encrypted"),
        ({"issuer": "https://elsewhere.example.com"}, "does not describe itself"),
    ],
)
def test_a_provider_that_is_unusable_is_named(
    verifying: Issuer, described: dict[str, Any], message: str
) -> None:
    verifying.described = described
    refused = mbs("login")
    assert refused.exit_code in (2, 3)
    assert message in refused.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": None},
        {"user_code": "x" * 10_000},
        {"device_code": 7},
        {"verification_uri_complete": "file:///etc/passwd"},
    ],
    ids=str,
)
def test_hostile_answers_of_a_provider_are_refused(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    begin = verifying.begin_device
    monkeypatch.setattr(verifying, "begin_device", lambda: {**begin(), **changes})
    assert mbs("login", "--browser").exit_code in (2, 3)
    assert not verifying.asked["/Token"]


def test_codes_with_control_characters_are_shown_escaped(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = verifying.begin_device
    monkeypatch.setattr(verifying, "begin_device", lambda: {**begin(), "user_code": "A\x1b[2J\nPassword:"})
    shown = mbs("login").output
    assert "\x1b[2J" not in shown
    assert not [line for line in shown.splitlines() if line.startswith("Password")]


def test_a_provider_that_is_away_is_named(option: Callable[..., None]) -> None:
    option(OIDC_ISSUER=f"http://127.0.0.1:{free_port()}")
    refused = mbs("login")
    assert (refused.exit_code, "The provider 127.0.0.1 cannot be reached" in refused.stderr) == (3, True)


def test_no_token_goes_to_a_server_without_encryption() -> None:
    refused = mbs("login", "--server", "http://mbs.example.com", "--token", input="mbs_x")
    assert (refused.exit_code, "is not encrypted" in refused.stderr) == (2, True)


def test_a_token_is_for_its_server_only(verifying: Issuer, home: Path) -> None:
    mbs("login")
    assert logins.kept("http://127.0.0.1:1") == ""
    assert "There is no token for http://127.0.0.1:1." in mbs("logout", "--server", "127.0.0.1:1").stdout


def test_after_a_logout_there_are_no_credentials() -> None:
    mbs("login")
    assert "is deleted" in mbs("logout").stdout
    refused = cancel()
    assert (refused.exit_code, "needs credentials" in refused.stderr) == (2, True)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}', '{"URL": {"kept": "file"}}', '{"URL": []}'])
def test_a_broken_file_is_no_login(home: Path, server: str, text: str) -> None:
    home.mkdir(parents=True)
    (home / "logins.json").write_text(text.replace("URL", server))
    assert mbs("list").exit_code == 0
    refused = cancel()
    assert refused.exit_code == 2
    assert mbs("login").exit_code == 0
    assert cancel().exit_code == 0
