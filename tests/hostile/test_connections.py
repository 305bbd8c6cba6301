"""The real web server with clients that stop in the middle, read slowly or send too much."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.hostile.web_server import LIVE, Web, serving
from tests.processes import wait_for

#: seconds
TIMEOUT = 1.5
LARGE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
SUBMIT = "/module-build-service/2/module-builds/"
#: The head of a request with a chunked body.
CHUNKED = f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web")
    with serving(folder, CLIENT_TIMEOUT=str(TIMEOUT), BODIES_LIMIT=str(4 << 20)) as server:
        yield server


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Never-Ends: x",
        b"\r\n\r\n",
        f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{{".encode(),
        CHUNKED + b"5\r\n",
        f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n{{".encode(),
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["nothing", "head", "blank", "body", "chunks", "too-large", "upgrade"],
)
def test_a_client_that_stops_in_the_middle_loses_its_connection(web: Web, data: bytes) -> None:
    started = time.monotonic()
    web.answer(data)
    assert time.monotonic() - started < 15
    assert web.is_well()


def test_a_body_that_does_not_come_is_answered(web: Web) -> None:
    head = f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n".encode()
    assert web.answer(head).startswith(b"HTTP/1.1 408 ")


def test_a_refused_body_is_answered_with_an_id_and_counted(web: Web) -> None:
    head = f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: mine\r\nConnection: close\r\n"
    answer = web.answer(f"{head}Content-Length: 99999999\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"x-request-id: mine\r\n" in answer
    assert b"content-security-policy: " in answer
    metrics = web.answer(web.get("/module-build-service/2/monitor/metrics", "Connection: close"))
    assert re.search(rb'mbs_http_requests_total{[^}]*status="413"} [1-9]', metrics)


@pytest.mark.parametrize("length", ["2 ", "2\t", "0" * 30 + "2"])
def test_a_length_with_blanks_or_zeros_is_that_of_the_body(web: Web, length: str) -> None:
    head = f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n"
    assert web.answer(f"{head}\r\n[]".encode()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("length", [10**18, 10**19])
def test_a_body_of_an_exabyte_is_refused_at_once(web: Web, length: int) -> None:
    head = f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
    assert web.answer(head.encode()).startswith(b"HTTP/1.1 413 ")


def test_a_head_that_comes_byte_by_byte_does_not_last_longer(web: Web) -> None:
    with web.connection(b"GET / HTTP/1.1\r\n") as connection:
        started = time.monotonic()
        connection.settimeout(0.1)
        while time.monotonic() - started < 15:
            try:
                connection.send(b"x")
                if not connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("the connection stayed open")


def test_a_head_without_end_is_refused(web: Web) -> None:
    assert web.answer(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 33_000).startswith(b"HTTP/1.1 431 ")
    assert web.is_well()


@pytest.mark.parametrize("part", [b"0\r\nX-Long: ", b"1;extension="], ids=["trailer", "extension"])
def test_a_chunked_body_without_content_and_end_is_refused(web: Web, part: bytes) -> None:
    assert web.answer(CHUNKED + part + b"x" * 40_000).startswith(b"HTTP/1.1 431 ")
    assert web.is_well()


def test_a_large_chunked_body_is_received(web: Web) -> None:
    """More than the limit of headers, in chunks whose content looks like the end of a body."""
    chunk = b"40\r\n" + b"0\r\n\r\n".ljust(64, b"x") + b"\r\n"
    data = CHUNKED + 2000 * chunk + b"0\r\n\r\n" + web.get("/no", "Connection: close")
    statuses = [part[:3] for part in web.answer(data).split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"400", b"404"]


def test_slow_readers_of_a_large_file_do_not_delay_other_requests(web: Web) -> None:
    """More readers than there are threads."""
    with ExitStack() as stack:
        readers = [
            stack.enter_context(web.connection(web.get(LARGE), receive_buffer=4096)) for _ in range(20)
        ]
        for reader in readers:
            assert reader.recv(4) == b"HTTP"
        style = web.answer(web.get("/static/web/pages.css", "Connection: close"))
        assert style.startswith(b"HTTP/1.1 200 ")
        assert web.is_well()
        wait_for(lambda: all(_is_closed(reader) for reader in readers), what="the slow readers' end")


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed it: the kernel says so without reading what it sent before."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] != 1  # TCP_ESTABLISHED


def test_a_file_arrives_whole(web: Web) -> None:
    head, _, body = web.answer(web.get(LARGE, "Connection: close")).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert len(body) > 1_000_000
    part = web.answer(web.get(LARGE, "Connection: close", "Range: bytes=10-19"))
    assert part.endswith(b"\r\n\r\n" + body[10:20])


def test_requests_sent_ahead_are_answered_in_order_one_by_one(web: Web) -> None:
    about = "/module-build-service/2/about/"
    post = f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n[]".encode()
    data = b"".join(
        (
            web.get(LIVE),
            post,
            web.get(about),
            CHUNKED + b"2\r\n[]\r\n0\r\n\r\n",
            web.get("/no", "Connection: close"),
        )
    )
    answer = web.answer(data)
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"400", b"200", b"400", b"404"]


@pytest.mark.parametrize("first", [b"", CHUNKED + b"0\r\n\r\n"], ids=["first", "after-chunks"])
def test_thousands_of_requests_in_a_packet_take_no_memory(web: Web, first: bytes) -> None:
    before = web.memory
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(web.connection(first + b"GET / HTTP/1.1\r\n\r\n" * 4000))
        assert web.is_well()
        assert web.memory - before < 50


def test_large_bodies_that_never_end_take_no_memory(web: Web) -> None:
    before = web.memory
    size = 1 << 20
    head = f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(web.connection(head + bytes(size - 1)))
        assert web.is_well()
        assert web.memory - before < 50


def test_a_watcher_who_claims_to_have_seen_much_takes_no_memory(web: Web) -> None:
    before = web.memory
    claim = "Last-Event-ID: s0+1-20000.c0+1-20000.l0+1-20000.b0"
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(
                web.connection(web.get("/module-build-service/2/module-builds/1/events", claim))
            )
        assert web.is_well()
        assert web.memory - before < 30
