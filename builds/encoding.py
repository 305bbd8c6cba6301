"""How answers, events and messages are written: JSON, with times to the second (docs/contract/rest.md).

All times of the service are in UTC: what the database gives, and what ``timezone.now()`` says.
"""

from __future__ import annotations

from typing import Any

import orjson

#: ``YYYY-MM-DDTHH:MM:SSZ``
_TIMES = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS

decode = orjson.loads
#: a JSON text that becomes part of another as it is
RawJSON = orjson.Fragment


def encode(data: Any) -> bytes:
    """JSON of plain values, of times (aware, in UTC) and of what is ``RawJSON``."""
    return orjson.dumps(data, option=_TIMES)


def plain(data: Any) -> Any:
    """What a program reads from the JSON."""
    return decode(encode(data))


def indented(data: Any) -> bytes:
    """JSON for people."""
    return orjson.dumps(plain(data), option=orjson.OPT_INDENT_2)
