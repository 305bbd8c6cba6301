"""Fixtures of the tests of logins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.http import HttpResponse
from django.test import Client

from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.factories import module_build
from tests.identity.issuer import AUDIENCE, Issuer
from tests.identity.issuer import issuer as running_issuer

ROOT = "/module-build-service/2/"


@pytest.fixture(autouse=True)
def _nothing_is_known_yet() -> None:
    for name in settings.CACHES:
        caches[name].clear()


@pytest.fixture
def option(settings: Any) -> Callable[..., None]:
    """Change options of the service: ``option(NO_AUTH=False)``."""

    def change(**values: Any) -> None:
        settings.MBS = settings.MBS.model_copy(update=values)

    return change


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A running OpenID provider."""
    with running_issuer() as there:
        yield there


@pytest.fixture
def asking(option: Callable[..., None], issuer: Issuer, tmp_path: Path) -> Issuer:
    """The provider of a service that checks every token by introspection, like MBS 3.9.2."""
    option(
        NO_AUTH=False,
        AUTH_METHOD="oidc",
        OIDC_REQUIRED_SCOPE="mbs/submit",
        OIDC_CLIENT_SECRETS=issuer.secrets_file(tmp_path),
    )
    return issuer


@pytest.fixture
def verifying(option: Callable[..., None], issuer: Issuer) -> Issuer:
    """The provider of a service that verifies signed tokens by the provider's keys."""
    option(
        NO_AUTH=False,
        AUTH_METHOD="oidc",
        OIDC_REQUIRED_SCOPE="mbs/submit",
        OIDC_ISSUER=issuer.url,
        OIDC_AUDIENCE=AUDIENCE,
    )
    return issuer


class Caller:
    """A client of the API with arbitrary credentials."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def cancel(self, build: ModuleBuild, token: str = "", **environ: str) -> HttpResponse:
        """Request the cancellation of a build, which requires a login and records the user."""
        if token:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return self.client.generic(
            "PATCH", f"{ROOT}module-builds/{build.pk}", b'{"state": "failed"}', content_type="", **environ
        )

    def tokens(self, method: str, token: str, path: str = "tokens/", body: bytes = b"") -> HttpResponse:
        """Send a request about API tokens."""
        return self.client.generic(
            method, f"{ROOT}{path}", body, content_type="", HTTP_AUTHORIZATION=f"Bearer {token}"
        )


@pytest.fixture
def caller(client: Client) -> Caller:
    """A client of the API."""
    client.raise_request_exception = False
    return Caller(client)


def build_of_ann() -> ModuleBuild:
    """Make another build of Ann's that can be canceled."""
    return module_build(owner="ann", state=BuildState.BUILD)


@pytest.fixture
def build(db: None) -> ModuleBuild:
    """A build of Ann's that can be canceled."""
    return build_of_ann()
