"""The time limit of asynchronous work."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from mbs.time_limit import run_within


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_the_result_is_returned() -> None:
    assert run_within(60, double(21)) == 42


def test_work_is_interrupted() -> None:
    with pytest.raises(TimeoutError):
        run_within(0.01, asyncio.sleep(3600))


def test_a_name_that_is_not_resolved_in_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, resolved = threading.Event(), list[bool]()

    async def resolve() -> object:
        return await asyncio.get_running_loop().getaddrinfo("hub.example", 80)

    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: resolved.append(answered.wait(60)))
    try:
        with pytest.raises(TimeoutError):
            run_within(0.1, resolve())
        assert not resolved
    finally:
        answered.set()
