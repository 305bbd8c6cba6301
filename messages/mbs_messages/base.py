"""What the messages have in common."""

from __future__ import annotations

from typing import Any

from fedora_messaging.message import Message

#: header with the address under which the service shows what the message is about
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
    """A JSON schema of a body. Keys that it does not name are allowed: later releases may add some.

    Args:
        name: Topic and version, such as ``mbs.module.state.change.v1``.
        required: Key -> schema, for keys that every body has.
        optional: The same for keys that some bodies have.
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
    """About a module build, or about a part of one: the body names ``name stream version context``."""

    @property
    def app_name(self) -> str:
        return "Module Build Service"

    @property
    def url(self) -> str | None:
        """Where the service shows it, or None when the message does not say."""
        url = self._headers.get(URL_HEADER)
        return url if isinstance(url, str) else None

    @property
    def nsvc(self) -> str:
        """``name:stream:version:context`` of the module build."""
        return ":".join(self.body[key] for key in ("name", "stream", "version", "context"))

    @property
    def state(self) -> int | None:
        """The new state, as a number."""
        value: int | None = self.body["state"]
        return value

    @property
    def state_name(self) -> str | None:
        """The new state, as a word."""
        value: str | None = self.body["state_name"]
        return value

    @property
    def state_reason(self) -> str | None:
        """Why it is in that state, where there is something to say."""
        value: str | None = self.body["state_reason"]
        return value

    @property
    def modules(self) -> list[str]:
        return [self.body["name"]]

    def __str__(self) -> str:
        lines = [self.summary, f"Module build: {self.nsvc}"]
        if self.state_reason:
            lines.append(f"Reason: {self.state_reason}")
        if self.url:
            lines.append(self.url)
        return "\n".join(lines) + "\n"
