"""A client of the REST API with arbitrary credentials, for tests."""

from __future__ import annotations

from django.http import HttpResponse
from django.test import Client

from builds.models import ModuleBuild
from tests.builds.rest import ROOT


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
