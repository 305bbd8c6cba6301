"""``mbs import``: files, web addresses and scm urls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mbs.client import importing
from mbs.client.cli import main
from tests.mbs.client.fake_server import FakeServer


@pytest.fixture(autouse=True)
def chosen(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBS_SERVER", server.url)


def mbs(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=text)


@pytest.fixture
def web() -> Iterator[str]:
    """A web server that answers the path it is asked for, or as much as a number says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/")
            self.send_response(404 if name == "missing" else 200)
            self.end_headers()
            self.wfile.write(b"x" * int(name) if name.isdigit() else name.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_files_are_sent_in_order_and_results_are_printed(server: FakeServer, tmp_path: Path) -> None:
    for name in ("platform", "perl"):
        (tmp_path / name).write_text(f"document of {name}")
    result = mbs("import", str(tmp_path / "platform"), str(tmp_path / "perl"))
    assert result.exit_code == 0, result.output
    assert [(path, body) for _, path, body in server.requests] == [
        ("/module-build-service/2/import-module/", {"modulemd": "document of platform"}),
        ("/module-build-service/2/import-module/", {"modulemd": "document of perl"}),
    ]
    assert result.output == "Imported.\n" * 2


def test_an_scm_url_is_for_the_server_to_fetch(server: FakeServer) -> None:
    assert mbs("import", "https://git.example.com/x?#abc").exit_code == 0
    assert server.requests[0][2] == {"scmurl": "https://git.example.com/x?#abc"}


def test_a_web_address_is_fetched_here(server: FakeServer, web: str) -> None:
    assert mbs("import", f"{web}/platform.yaml").exit_code == 0
    assert server.requests[0][2] == {"modulemd": "platform.yaml"}


def test_a_file_that_is_too_large_is_refused(
    web: str, monkeypatch: pytest.MonkeyPatch, server: FakeServer
) -> None:
    monkeypatch.setattr(importing, "MAX_BYTES", 1000)
    result = mbs("import", f"{web}/1001")
    assert (result.exit_code, server.requests) == (2, [])
    assert "larger than 1000 bytes" in result.output


def test_a_missing_file_is_named(web: str, server: FakeServer) -> None:
    result = mbs("import", f"{web}/missing")
    assert (result.exit_code, server.requests) == (3, [])
    assert f"{web}/missing cannot be fetched" in result.output
    assert mbs("import", "/nowhere/platform.yaml").exit_code == 2
