"""Answers to OPTIONS requests."""

from __future__ import annotations

from typing import Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.request import Request


class Metadata(SimpleMetadata):
    """Name and description of an address. The keys of bodies are described in the OpenAPI document only."""

    def determine_actions(self, request: Request, view: Any) -> dict[str, Any]:
        """Return nothing: the OpenAPI document describes bodies."""
        return {}
