from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

ROOT = "/module-build-service/2/"


class Api:
    """The REST API, as a program calls it. Paths are relative to the root of a version."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get(self, path: str, *, version: int = 2, status: int = 200, **headers: str) -> Any:
        """The JSON of an answer, whose status must be ``status``."""
        return self.check(self.client.get(f"/module-build-service/{version}/{path}", headers=headers), status)

    def post(self, path: str, body: Any, *, version: int = 2, status: int = 201) -> Any:
        """Post a body as rpkg does: JSON that no header announces."""
        return self.send("POST", path, json.dumps(body).encode(), version=version, status=status)

    def patch(self, path: str, body: Any, *, status: int = 200) -> Any:
        """As ``post``."""
        return self.send("PATCH", path, json.dumps(body).encode(), status=status)

    def send(
        self, method: str, path: str, body: bytes, *, version: int = 2, status: int, content_type: str = ""
    ) -> Any:
        """Send bytes."""
        url = f"/module-build-service/{version}/{path}"
        return self.check(self.client.generic(method, url, body, content_type=content_type), status)

    def check(self, response: HttpResponse, status: int) -> Any:
        """The JSON of an answer; an error is of the form that the contract says."""
        assert response.status_code == status, response.content[:2000]
        assert response["Content-Type"] == "application/json"
        answer = json.loads(response.content)
        if status >= 400:
            assert answer["status"] == status
            assert answer["message"]
            assert answer["code"]
            assert {"error", "hint"} < answer.keys()
        return answer


@pytest.fixture(autouse=True)
def _no_kept_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of rows are kept by the newest id, and rows of another test may have the same."""
    monkeypatch.setattr("builds.api.views.base._LISTINGS", {})


@pytest.fixture
def api(db: None, client: Client) -> Api:
    client.raise_request_exception = False
    return Api(client)


@pytest.fixture
def option(settings: Any) -> Callable[..., None]:
    """Change options of the service: ``option(NO_AUTH=False)``."""

    def change(**values: Any) -> None:
        settings.MBS = settings.MBS.model_copy(update=values)

    return change
