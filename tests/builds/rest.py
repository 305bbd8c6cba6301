"""A client of the REST API for tests."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

ROOT = "/module-build-service/2/"


class Api:
    """A client of the REST API. Paths are relative to the root of a version."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get(self, path: str, *, version: int = 2, status: int = 200, **headers: str) -> Any:
        """Request a path and return the JSON; the status must be ``status``."""
        return self.check(self.client.get(f"/module-build-service/{version}/{path}", headers=headers), status)

    def post(self, path: str, body: Any, *, version: int = 2, status: int = 201) -> Any:
        """Post a body like rpkg does: as JSON without a content type."""
        return self.send("POST", path, json.dumps(body).encode(), version=version, status=status)

    def patch(self, path: str, body: Any, *, status: int = 200) -> Any:
        """Patch with a body; see ``post``."""
        return self.send("PATCH", path, json.dumps(body).encode(), status=status)

    def send(
        self, method: str, path: str, body: bytes, *, version: int = 2, status: int, content_type: str = ""
    ) -> Any:
        """Send bytes and return the JSON."""
        url = f"/module-build-service/{version}/{path}"
        return self.check(self.client.generic(method, url, body, content_type=content_type), status)

    def check(self, response: HttpResponse, status: int) -> Any:
        """Return the JSON of an answer, after checking its status and, for an error, its form."""
        assert response.status_code == status, response.content[:2000]
        assert response["Content-Type"] == "application/json"
        answer = json.loads(response.content)
        if status >= 400:
            assert answer["status"] == status
            assert answer["message"]
            assert answer["code"]
            assert {"error", "hint"} < answer.keys()
        return answer
