"""``mbs-manager doctor``, the configuration and ``about/``, where people log in at an OpenID provider."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from builds.services.auth import setup_checks
from config.loader import load
from mbs.errors import ConfigurationError
from tests.builds.services.auth.oidc_provider import SCOPES, Issuer
from tests.config.production import production
from tests.processes import free_port


@pytest.fixture
def provider(option: Callable[..., None], verifying: Issuer, tmp_path: Path) -> Issuer:
    """The provider of a service with all kinds of logins."""
    option(
        OIDC_CLIENT_SECRETS=verifying.secrets_file(tmp_path),
        OIDC_WEB_LOGIN=True,
        OIDC_DEVICE_CLIENT="mbs-cli",
        BASE_URL="https://mbs.example.com",
    )
    return verifying


def messages() -> list[str]:
    found = list(setup_checks.examine())
    assert all(each.code == "login_configuration" and each.hint for each in found)
    return [each.message for each in found]


def test_a_complete_provider_has_no_problem(provider: Issuer) -> None:
    assert messages() == []


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"authorization_endpoint": None}, "has no authorization_endpoint."),
        ({"token_endpoint": ["x"]}, "has no token_endpoint."),
        ({"device_authorization_endpoint": None}, "has no device_authorization_endpoint."),
        ({"authorization_endpoint": "http://id.example.com/a"}, "http://id.example.com/a is not encrypted."),
        ({"code_challenge_methods_supported": ["plain"]}, "does not support PKCE with S256."),
        ({"scopes_supported": ["openid", SCOPES[1]]}, "does not list the scopes mbs/submit."),
    ],
)
def test_missing_parts_of_a_provider_are_named(
    provider: Issuer, described: dict[str, Any], message: str
) -> None:
    provider.described = described
    (found,) = messages()
    assert found.endswith(message)


def test_a_provider_that_is_away_is_named(provider: Issuer, option: Callable[..., None]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    option(OIDC_ISSUER=url)
    assert messages() == [f"{url} has no description at /.well-known/openid-configuration."]


def test_another_issuer_in_the_description_is_named(provider: Issuer) -> None:
    provider.described = {"issuer": "https://elsewhere.example.com"}
    assert len(messages()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"web": {"client_secret": "x"}}', "OIDC_CLIENT_SECRETS contains no client_id."),
        ("[]", "is unusable."),
    ],
)
def test_credentials_that_are_unusable_are_named(
    provider: Issuer, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "client_secrets.json").write_text(text)
    (found,) = messages()
    assert found.endswith(message)


def test_pages_that_are_not_encrypted_are_named(provider: Issuer, option: Callable[..., None]) -> None:
    option(BASE_URL="http://mbs.example.com")
    assert messages() == ["People log in on pages that are not encrypted."]
    option(BASE_URL="http://127.0.0.1:8000")
    assert messages() == []


def test_nothing_is_checked_without_such_logins(provider: Issuer, option: Callable[..., None]) -> None:
    option(OIDC_WEB_LOGIN=False, OIDC_DEVICE_CLIENT="")
    provider.status = 500
    assert messages() == []
    assert not provider.asked


@pytest.mark.django_db
def test_the_doctor_prints_the_problems_and_the_address_to_register(provider: Issuer) -> None:
    provider.described = {"token_endpoint": None}
    out = StringIO()
    with pytest.raises(CommandError, match=r"The login has 1 problem\."):
        call_command("doctor", stdout=out)
    assert "has no token_endpoint." in out.getvalue()
    assert "redirect address: https://mbs.example.com/login/callback" in out.getvalue()


@pytest.mark.parametrize("option_name", ["OIDC_WEB_LOGIN", "OIDC_DEVICE_CLIENT"])
def test_the_service_does_not_start_without_what_logins_need(tmp_path: Path, option_name: str) -> None:
    environ = production(tmp_path, **{f"MBS_{option_name}": "1"})
    with pytest.raises(ConfigurationError, match=f"{option_name}.*it needs OIDC_ISSUER"):
        load(environ, [])


@pytest.mark.django_db
@pytest.mark.parametrize("version", [1, 2])
def test_the_service_describes_the_login_of_command_lines(
    client: Client, provider: Issuer, option: Callable[..., None], version: int
) -> None:
    path = f"/module-build-service/{version}/about/"
    assert client.get(path).json()["login"] == {
        "issuer": provider.url,
        "client_id": "mbs-cli",
        "scopes": list(SCOPES),
    }
    assert not provider.asked
    option(OIDC_DEVICE_CLIENT="")
    assert "login" not in client.get(path).json()
