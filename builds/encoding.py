"""The JSON of responses, events and messages, with times in UTC to the second (docs/contract/rest.md)."""

from __future__ import annotations

from typing import Any

import orjson

#: ``YYYY-MM-DDTHH:MM:SSZ``
_TIMES = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS

decode = orjson.loads
#: A JSON text that ``encode`` copies into its output unchanged.
RawJSON = orjson.Fragment


def encode(data: Any) -> bytes:
    """Return the JSON of plain values, aware times in UTC, and ``RawJSON``."""
    return orjson.dumps(data, option=_TIMES)


def plain(data: Any) -> Any:
    """Return the data with times as text, as a program reads it from the JSON."""
    return decode(encode(data))


def indented(data: Any) -> bytes:
    """Return indented JSON for people."""
    return orjson.dumps(plain(data), option=orjson.OPT_INDENT_2)
