"""Read server-sent events (WHATWG HTML, section 9.2), with bounds on what a server may send."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mbs.client.rest import Json, UnexpectedAnswer

#: Max bytes of one event.
MAX_EVENT = 1 << 20


@dataclass(frozen=True)
class Event:
    """A server-sent event.

    Attributes:
        name: Kind of the event; empty if the server only sent an id.
        id: Position in the stream, with which a client continues after an interruption.
        data: The JSON object of the event; empty if it has none.
    """

    name: str
    id: str
    data: Json


def parse(parts: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events in a stream.

    Args:
        parts: The bytes of the stream, divided anywhere.

    Raises:
        UnexpectedAnswer: An event is larger than ``MAX_EVENT``.
    """
    rest, fields, size = b"", dict[str, str](), 0
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            size += len(line)
            if line.strip():
                _add(fields, line)
            elif fields:
                yield _event(fields)
            if size > MAX_EVENT:
                break
            if not line.strip():
                fields, size = {}, 0
        if size + len(rest) > MAX_EVENT:
            raise UnexpectedAnswer(f"The server sent an event of more than {MAX_EVENT} bytes.")


def _add(fields: dict[str, str], line: bytes) -> None:
    """Add a line ``name: value``; a line that begins with a colon is a comment."""
    name, _, value = line.decode("utf-8", "replace").rstrip("\r").partition(":")
    if name in ("event", "id", "data"):
        known = f"{fields[name]}\n" if name == "data" and name in fields else ""
        fields[name] = known + value.removeprefix(" ")


def _event(fields: dict[str, str]) -> Event:
    try:
        data = json.loads(fields.get("data", "{}"))
    except (RecursionError, ValueError):
        data = {}
    name = fields.get("event", "message") if "data" in fields else ""
    return Event(name, fields.get("id", ""), data if isinstance(data, dict) else {})
