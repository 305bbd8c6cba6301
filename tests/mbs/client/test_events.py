"""Reading a stream of server-sent events."""

from __future__ import annotations

import pytest

from mbs.client import event_stream
from mbs.client.event_stream import Event, parse
from mbs.client.rest import UnexpectedAnswer


def test_events_are_read_however_the_stream_is_divided() -> None:
    stream = b'retry: 3000\n\nevent: state\r\nid: 7\r\ndata: {"a":\r\ndata: 1}\r\n\r\n: still here\nid: 8\n\n'
    expected = [Event("state", "7", {"a": 1}), Event("", "8", {})]
    for size in (1, 5, len(stream)):
        parts = [stream[place : place + size] for place in range(0, len(stream), size)]
        assert list(parse(parts)) == expected


def test_data_that_is_no_object_is_empty() -> None:
    deep = b"data: " + b"[" * 100_000 + b"\n\n"
    parts = [b"data: [1]\n\ndata: {\n\ndata: \xff\n\n", deep]
    assert [event.data for event in parse(parts)] == [{}, {}, {}, {}]


@pytest.mark.parametrize("parts", [[b"data: " + b"x" * 200], [b"data: 1\n"] * 30, [b": y\n" * 50]])
def test_an_endless_event_is_refused(parts: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT", 100)
    with pytest.raises(UnexpectedAnswer):
        list(parse(parts))
