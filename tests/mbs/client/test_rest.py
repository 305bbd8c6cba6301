"""The REST client with a server that follows the contract, and with servers that violate it."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from mbs.client import rest
from mbs.client.rest import Client, Refused, UnexpectedAnswer, Unreachable, base_url, unix_url, web_url
from mbs.errors import InvalidInput, Problem
from tests.mbs.client.fake_server import FakeServer, component_build, module_build


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url)


def test_submit_sends_the_keys_and_answers_all_builds(server: FakeServer, client: Client) -> None:
    answer = client.submit({"scmurl": "https://git.example/m?#abc", "branch": "1"})
    assert [build["id"] for build in answer] == [1]
    assert server.requests == [
        (
            "POST",
            "/module-build-service/2/module-builds/",
            {"scmurl": "https://git.example/m?#abc", "branch": "1"},
        )
    ]


def test_owner_is_sent_when_submitting_and_cancelling(server: FakeServer) -> None:
    client = Client(server.url, owner="ann")
    client.submit({"scmurl": "x"})
    assert client.cancel(1)["state_name"] == "failed"
    assert [body for _, _, body in server.requests] == [
        {"scmurl": "x", "owner": "ann"},
        {"state": "failed", "owner": "ann"},
    ]


def test_token_is_sent_as_bearer(server: FakeServer) -> None:
    Client(server.url, token="secret").about()
    assert server.headers[0]["Authorization"] == "Bearer secret"


def test_lists_are_followed_page_by_page_and_keep_their_filters(server: FakeServer, client: Client) -> None:
    server.per_page_bound = 3
    for number in range(1, 9):
        server.add(module_build(number, "ready" if number % 2 else "failed"))
    found = client.builds({"state": ["ready", "failed"]}, limit=7)
    assert [build["id"] for build in found] == [8, 7, 6, 5, 4, 3, 2]
    assert len(server.requests) == 3
    assert all("state=ready&state=failed" in path for _, path, _ in server.requests)


def test_components_of_all_pages_are_found(server: FakeServer, client: Client) -> None:
    server.per_page_bound = 2
    server.add(module_build(1), *(component_build(number, 1, 1) for number in range(5)))
    server.add(module_build(2), component_build(9, 2, 1))
    assert [each["id"] for each in client.components(1)] == [0, 1, 2, 3, 4]


def test_a_refusal_has_all_values_of_the_answer(server: FakeServer, client: Client) -> None:
    server.refuse_next(
        422,
        error="Unprocessable Entity",
        message="2 components cannot be had.",
        code="components_unavailable",
        hint="Mend them.",
        problems=[
            {"code": "unknown_ref", "message": "no ref x", "component": "foo", "line": 7, "new_key": 1},
            {"code": "no_spec", "message": "no spec file", "component": "bar", "tried": "bar.spec"},
        ],
    )
    with pytest.raises(Refused) as caught:
        client.submit({"scmurl": "x"})
    error = caught.value
    assert (error.status, error.code, error.message, error.hint, error.transient) == (
        422,
        "components_unavailable",
        "2 components cannot be had.",
        "Mend them.",
        False,
    )
    assert error.problems == (
        Problem("unknown_ref", "no ref x", component="foo", line=7),
        Problem("no_spec", "no spec file", component="bar", tried="bar.spec"),
    )


def test_an_error_page_of_another_program_is_recognized(server: FakeServer, client: Client) -> None:
    server.queued.append((502, b"<html>Bad gateway</html>", {}))
    with pytest.raises(Refused, match="502 Bad Gateway") as caught:
        client.about()
    assert caught.value.transient
    assert "Check the URL and any proxy" in caught.value.hint


@pytest.mark.parametrize("content", [b"<html></html>", b"", b"[]", b"null", b'"text"', b"[" * 200_000])
def test_answer_that_is_no_object_is_unexpected(server: FakeServer, client: Client, content: bytes) -> None:
    server.queued.append((200, content, {}))
    with pytest.raises(UnexpectedAnswer):
        client.about()


@pytest.mark.parametrize("body", [{}, {"items": None, "meta": {}}, {"items": [1], "meta": {}}, {"items": []}])
def test_list_of_another_shape_is_unexpected(server: FakeServer, client: Client, body: object) -> None:
    server.queued.append((200, json.dumps(body).encode(), {}))
    with pytest.raises(UnexpectedAnswer):
        list(client.builds({}, limit=5))


@pytest.mark.parametrize("following", [7, ["x"], "http://h/\x00"])
def test_a_next_page_that_is_no_address_is_unexpected(
    server: FakeServer, client: Client, following: object
) -> None:
    server.queued.append((200, json.dumps({"items": [], "meta": {"next": following}}).encode(), {}))
    with pytest.raises(UnexpectedAnswer):
        list(client.builds({}, limit=5))


def test_pages_of_components_without_end_are_unexpected(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "MAX_COMPONENTS", 20)
    page = json.dumps({"items": [component_build(1, 1, 1)] * 10, "meta": {"next": "?page=2"}}).encode()
    server.queued += [(200, page, {})] * 9
    with pytest.raises(UnexpectedAnswer, match="more than 20 components"):
        client.components(1)
    assert len(server.requests) == 3


def test_a_redirect_is_reported_and_not_followed(server: FakeServer, client: Client) -> None:
    server.queued.append((301, b"", {"Location": "https://elsewhere.example/"}))
    with pytest.raises(UnexpectedAnswer) as caught:
        client.submit({"scmurl": "x"})
    assert "https://elsewhere.example/" in caught.value.hint
    assert len(server.requests) == 1


def test_a_refused_connection_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        Client("http://127.0.0.1:1").about()


def test_silence_is_unreachable() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    with pytest.raises(Unreachable, match="did not answer in time"):
        Client("http://h", transport=httpx.MockTransport(silent)).about()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://h:80", "http://h:80"),
        ("h:8080", "http://h:8080"),
        ("https://h/module-build-service/1/module-builds/", "https://h"),
        ("https://h/sub/module-build-service", "https://h/sub"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_address_may_be_any_url_of_the_service(written: str, meant: str) -> None:
    assert base_url(written) == meant


@pytest.mark.parametrize("written", ["", "ftp://h", "http://", "http://h:port", "http://h:99999", "http://["])
def test_address_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput):
        base_url(written)


def test_loopback_is_asked_without_a_proxy(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert Client(server.url).about()["api_version"] == 2


def test_a_server_may_listen_on_a_unix_socket(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Host"]))
            stream = self.path == "/events"
            body = b"id: 1\n\n" if stream else b'{"version": "1"}'
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    asked: list[tuple[str, str]] = []
    path = tmp_path / "a b.sock"
    with socketserver.UnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=lambda: (server.handle_request(), server.handle_request()))
        thread.start()
        with Client(unix_url(str(path))) as client:
            assert client.about() == {"version": "1"}
            assert b"".join(client.events({}, "", silence=5)) == b"id: 1\n\n"
        thread.join()
    assert asked == [("/module-build-service/2/about/", "127.0.0.1"), ("/events", "127.0.0.1")]
    with Client(unix_url(str(tmp_path / "none"))) as client, pytest.raises(Unreachable):
        client.about()
    assert web_url("https://mbs.example.com") == "https://mbs.example.com"
