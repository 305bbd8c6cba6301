"""Lookups of credentials at other services, and the requests that wait for them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from builds.services.auth import lookup_cache
from tests.processes import wait_for


@pytest.fixture(autouse=True)
def _first_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lookup was slow before."""
    monkeypatch.setattr(lookup_cache, "_pace", lookup_cache._Pace())


def test_only_some_requests_wait_for_a_slow_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup_cache, "_SLOW", -1.0)
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(lookup_cache, "_WAITING", places)
    lookup = threading.Lock()
    lookup.acquire()
    with ThreadPoolExecutor(1) as threads, lookup_cache.lookup_slot():
        waits = threads.submit(lookup_cache.acquire, lookup, 60)
        wait_for(lambda: not places._value, what="a request that waits")
        # It would wait for the end of the lookup, which is later than the end of this test.
        assert not lookup_cache.acquire(lookup, threading.TIMEOUT_MAX)
        lookup.release()
        assert waits.result(60)
    assert places._value == 1


def test_all_requests_wait_for_a_quick_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup_cache, "_SLOW", 3600.0)
    monkeypatch.setattr(lookup_cache, "_WAITING", threading.BoundedSemaphore(0))
    lookup = threading.Lock()
    lookup.acquire()
    with ThreadPoolExecutor(4) as threads, lookup_cache.lookup_slot():
        waits = [threads.submit(lookup_cache.acquire, lookup, 60) for _ in range(4)]
        for _ in waits:
            lookup.release()
            wait_for(lookup.locked, what="the next request")
    assert all(each.result() for each in waits)


def test_a_slow_lookup_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    with lookup_cache.lookup_slot():
        monkeypatch.setattr(lookup_cache, "_SLOW", -1.0)
    monkeypatch.setattr(lookup_cache, "_SLOW", 3600.0)
    assert lookup_cache._pace.slow
    monkeypatch.setattr(lookup_cache, "_pace", lookup_cache._Pace())
    with lookup_cache.lookup_slot():
        pass
    assert not lookup_cache._pace.slow
