"""Parts that all messages have in common."""

from __future__ import annotations

from typing import Any

from fedora_messaging.message import Message

#: Header with the address of the page about the build.
URL_HEADER = "mbs_url"

TEXT: dict[str, Any] = {"type": "string"}
TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": "integer"}
NUMBER_OR_NULL: dict[str, Any] = {"type": ["integer", "null"]}
NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}
TIME_OR_NULL: dict[str, Any] = {
    "type": ["string", "null"],
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$",
}


def schema(name: str, description: str, required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """Return a JSON schema for bodies. Unknown keys are allowed, because later releases may add some.

    Args:
        name: Topic and version, such as ``mbs.module.state.change.v1``.
        required: Key -> schema of mandatory keys.
        optional: Key -> schema of optional keys.
    """
    return {
        "$id": f"urn:module-build-service:{name}",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "description": description,
        "type": "object",
        "properties": {**required, **optional},
        "required": sorted(required),
    }


class ModuleBuildMessage(Message):
    """A message about a module build or one of its components.

    The body contains ``name``, ``stream``, ``version`` and ``context`` of the module build.
    """

    @property
    def app_name(self) -> str:
        """Name of the service."""
        return "Module Build Service"

    @property
    def url(self) -> str | None:
        """Address of the page about the build; None if the message has none."""
        url = self._headers.get(URL_HEADER)
        return url if isinstance(url, str) else None

    @property
    def nsvc(self) -> str:
        """``name:stream:version:context`` of the module build."""
        return ":".join(self.body[key] for key in ("name", "stream", "version", "context"))

    @property
    def state(self) -> int | None:
        """Number of the new state."""
        value: int | None = self.body["state"]
        return value

    @property
    def state_name(self) -> str | None:
        """Name of the new state."""
        value: str | None = self.body["state_name"]
        return value

    @property
    def state_reason(self) -> str | None:
        """Reason for the new state, if there is one."""
        value: str | None = self.body["state_reason"]
        return value

    @property
    def modules(self) -> list[str]:
        """Names of the modules that the message is about."""
        return [self.body["name"]]

    def __str__(self) -> str:
        lines = [self.summary, f"Module build: {self.nsvc}"]
        if self.state_reason:
            lines.append(f"Reason: {self.state_reason}")
        if self.url:
            lines.append(self.url)
        return "\n".join(lines) + "\n"
