"""A hostile server asks ``mbs login`` for a token that is valid elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from tests.builds.services.auth.oidc_provider import Issuer
from tests.mbs.client.login.commands import cancel, mbs

pytestmark = pytest.mark.django_db(transaction=True)


def offered(provider: Issuer, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let the server ask for another login."""
    offer = {"issuer": provider.url, "client_id": "mbs-cli", "scopes": ["openid"], **changes}
    monkeypatch.setattr("builds.api.views.service.device_login", lambda: offer)


def test_nothing_is_asked_of_a_provider_before_the_user_agrees(verifying: Issuer, home: Path) -> None:
    for answer in ("n\n", "\n", ""):
        refused = mbs("login", input=answer)
        assert refused.exit_code == 2
        assert "You have not agreed to log in at 127.0.0.1" in refused.stderr
        for shown in (verifying.url, "mbs-cli", "mbs/submit"):
            assert shown in refused.stderr
    assert not verifying.asked
    assert not (home / "logins.json").exists()


def test_a_login_that_the_user_has_agreed_to_is_not_asked_for_again() -> None:
    assert mbs("login", "--yes", input="").exit_code == 0
    mbs("logout")
    assert mbs("login", input="").exit_code == 0


@pytest.mark.parametrize("changes", [{"client_id": "bodhi"}, {"scopes": ["openid", "bodhi"]}], ids=str)
def test_a_server_that_wants_another_kind_of_token_has_to_be_agreed_to(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    mbs("login")
    offered(verifying, monkeypatch, **changes)
    refused = mbs("login", input="n\n")
    assert (refused.exit_code, "bodhi" in refused.stderr) == (2, True)


def test_a_server_that_names_another_provider_later_is_refused(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mbs("login")
    mbs("logout")
    offered(verifying, monkeypatch, issuer="https://id.elsewhere.example.com")
    refused = mbs("login", "--yes")
    assert refused.exit_code == 2
    assert f"names the provider https://id.elsewhere.example.com, but named {verifying.url} before" in (
        refused.stderr
    )
    assert "mbs logout --forget-provider" in refused.stderr
    assert mbs("logout", "--forget-provider").exit_code == 0
    assert "asks you to log in at id.elsewhere.example.com" in mbs("login", input="n\n").stderr


def test_servers_toml_pins_the_provider(verifying: Issuer, server: str, home: Path) -> None:
    home.mkdir(parents=True)
    text = '[servers.here]\nurl = "{}"\nissuer = "{}"\n'
    (home / "servers.toml").write_text(text.format(server, "https://id.example.com"))
    refused = mbs("login", "--yes")
    assert (refused.exit_code, "servers.toml names https://id.example.com" in refused.stderr) == (2, True)
    (home / "servers.toml").write_text(text.format(server, verifying.url))
    assert mbs("login").exit_code == 0


def test_issuers_that_look_like_others_are_refused(
    verifying: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(verifying, monkeypatch, issuer="https://id.\u0435xample.com")
    refused = mbs("login", "--yes")
    assert (refused.exit_code, "other characters than ASCII" in refused.stderr) == (3, True)


def test_a_question_without_end_is_not_shown(verifying: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    offered(verifying, monkeypatch, scopes=["x"] * 100_000)
    refused = mbs("login", "--yes")
    assert (refused.exit_code, "in more than 2000 characters" in refused.stderr) == (3, True)


def test_a_code_of_another_provider_is_not_shown(verifying: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = verifying.begin_device
    page = "https://id.example.com/device"
    monkeypatch.setattr(verifying, "begin_device", lambda: {**begin(), "verification_uri": page})
    refused = mbs("login")
    assert (refused.exit_code, "Do not enter a code there" in refused.stderr) == (3, True)
    assert "ABCD-EFGH" not in refused.output


def test_a_token_for_one_server_is_refused_by_another(
    verifying: Issuer, server: str, option: Callable[..., None]
) -> None:
    verifying.indicators, verifying.seconds = True, 20
    option(OIDC_AUDIENCE=server)
    assert mbs("login").exit_code == 0
    assert cancel().exit_code == 0  # with a new token
    option(OIDC_AUDIENCE="https://mbs.example.com")
    cache.clear()
    refused = cancel()
    assert (refused.exit_code, "not valid for this service" in refused.stderr) == (2, True)
