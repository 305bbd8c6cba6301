"""Client addresses, schemes and prefixes from the headers of front servers (docs/fronts.md)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from builds.api.serving.fronts import Fronts

TRUSTED = ("127.0.0.1", "10.0.0.0/8", "unix:")
STRANGER = ("192.0.2.7", 4711)


def passed_on(
    *headers: tuple[str, str],
    client: tuple[str, int] | None = ("127.0.0.1", 1),
    server: tuple[str, int | None] = ("127.0.0.1", 8000),
    path: str = "/builds/1",
    base_url: str = "http://mbs.example.com",
) -> dict[str, Any]:
    """Return the scope that the application gets."""
    got: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        got.append(scope)

    scope = {
        "type": "http",
        "scheme": "http",
        "path": path,
        "client": client,
        "server": server,
        "headers": [(b"host", b"inner:8000"), *((name.encode(), value.encode()) for name, value in headers)],
    }
    asyncio.run(Fronts(application, TRUSTED, base_url)(scope, None, None))
    return dict(got[0], host=[value for name, value in got[0]["headers"] if name == b"host"])


ALL = (
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "mbs.example.com"),
    ("x-forwarded-prefix", "/mbs"),
    ("x-forwarded-for", "198.51.100.9"),
)


@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("10.200.0.3", 1)])
def test_a_trusted_front_names_the_address(client: tuple[str, int]) -> None:
    scope = passed_on(*ALL, client=client)
    assert (scope["scheme"], scope["host"], scope["root_path"]) == ("https", [b"mbs.example.com"], "/mbs")
    assert (scope["path"], scope["client"][0]) == ("/builds/1", "198.51.100.9")


def test_headers_of_strangers_are_not_read() -> None:
    scope = passed_on(*ALL, ("x-scheme", "https"), ("x-script-name", "/evil"), client=STRANGER)
    assert (scope["scheme"], scope["host"], scope["root_path"]) == ("http", [b"inner:8000"], "")
    assert scope["client"] == STRANGER


def test_a_front_at_a_unix_socket_is_trusted_and_a_lost_peer_is_not() -> None:
    assert passed_on(*ALL, client=None, server=("/run/mbs.sock", None))["scheme"] == "https"
    assert passed_on(*ALL, client=None)["scheme"] == "http"


def test_headers_of_existing_fronts_are_read() -> None:
    scope = passed_on(("x-scheme", "https"), ("x-script-name", "/mbs/"))
    assert (scope["scheme"], scope["root_path"]) == ("https", "/mbs")


def test_the_value_that_the_proxy_added_to_a_list_counts() -> None:
    scope = passed_on(
        ("x-forwarded-host", "evil.example, mbs.example.com"),
        ("x-forwarded-proto", "http, https"),
        ("x-forwarded-for", "192.0.2.66, 198.51.100.9, 10.0.0.1"),
    )
    assert (scope["host"], scope["scheme"]) == ([b"mbs.example.com"], "https")
    assert scope["client"][0] == "198.51.100.9"


@pytest.mark.parametrize("path", ["/mbs/builds/1", "/builds/1"])
def test_a_prefix_is_taken_off_where_the_front_left_it(path: str) -> None:
    assert passed_on(("x-forwarded-prefix", "/mbs"), path=path)["path"] == "/builds/1"


def test_a_prefix_ends_at_a_slash() -> None:
    assert passed_on(("x-forwarded-prefix", "/mbs"), path="/mbsx/1")["path"] == "/mbsx/1"
    assert passed_on(("x-forwarded-prefix", "/mbs"), path="/mbs")["path"] == "/"


@pytest.mark.parametrize(
    "prefix",
    ["//evil.example", "/a//b", "/..", "/a/../b", "evil.example", '/"><script>', "/a\\b", "/" + "a" * 5000],
)
def test_a_prefix_that_is_no_plain_path_is_not_taken(prefix: str) -> None:
    assert passed_on(("x-forwarded-prefix", prefix))["root_path"] == ""


@pytest.mark.parametrize("header", [("x-forwarded-proto", "gopher"), ("x-forwarded-for", "who knows")])
def test_values_that_mean_nothing_are_not_taken(header: tuple[str, str]) -> None:
    scope = passed_on(header)
    assert (scope["scheme"], scope["client"]) == ("http", ("127.0.0.1", 1))


@pytest.mark.parametrize("client", [("127.0.0.1", 1), STRANGER])
def test_without_headers_the_base_url_names_scheme_and_prefix(client: tuple[str, int]) -> None:
    scope = passed_on(client=client, path="/mbs/builds/1", base_url="https://example.com/mbs")
    assert (scope["scheme"], scope["root_path"], scope["path"]) == ("https", "/mbs", "/builds/1")


def test_a_proxy_may_report_that_a_request_used_plain_http() -> None:
    assert passed_on(("x-forwarded-proto", "http"), base_url="https://example.com")["scheme"] == "http"
