"""Lookups of credentials at other services, and the requests that wait for them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from builds.services.auth import lookup_cache
from tests.processes import wait_for


def test_only_some_requests_wait_for_a_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(lookup_cache, "_WAITING", places)
    lookup = threading.Lock()
    lookup.acquire()
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(lookup_cache.acquire, lookup, 60)
        wait_for(lambda: not places._value, what="a request that waits")
        # It would wait for the end of the lookup, which is later than the end of this test.
        assert not lookup_cache.acquire(lookup, threading.TIMEOUT_MAX)
        lookup.release()
        assert waits.result(60)
    assert places._value == 1
