"""Hostile texts that would control a terminal or forge a line of a log."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from builds.observability import log_context
from builds.observability.logs import configuration
from mbs.text import printable, printable_values
from tests.processes import ROOT

FORGED = "x\n2026-01-01 00:00:00,000 INFO    builds: forged\r\x1b[2J\x9b2J\u2028\u202e\x00"


@given(st.text())
def test_printable_text_stays_on_one_line_with_the_same_content(text: str) -> None:
    told = printable(text)
    assert told.isprintable()
    assert len(told.splitlines()) <= 1
    if "\\" not in text:
        assert told.encode("latin-1", "backslashreplace").decode("unicode_escape") == text


def test_values_are_printable_with_their_keys() -> None:
    assert printable_values({"a\n": ["\x1b", 1, None]}) == {"a\\n": ["\\x1b", 1, None]}


def plain(record: logging.LogRecord) -> str:
    return configuration("info", "plain")["formatters"]["plain"]["()"]().format(record)


def test_a_plain_line_of_the_log_is_one_line_whatever_it_holds() -> None:
    record = logging.LogRecord("builds.x", logging.INFO, "", 1, "%s", (FORGED,), None)
    with log_context.bound(nsvc=FORGED):
        told = plain(record)
    assert told.isprintable()


def test_lines_of_a_trace_cannot_be_taken_for_lines_of_the_log() -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        record = logging.LogRecord("builds.x", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    first, *others = plain(record).split("\n")
    assert "builds.x: failed" in first
    assert all(line.startswith("  | ") and line.isprintable() for line in others)


@pytest.mark.django_db
def test_an_address_forges_no_line(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/x%0a2026-01-01%20INFO%20builds:%20forged%1b[2J", headers={"Accept": "application/json"})
    records = [record for record in caplog.records if "forged" in record.getMessage()]
    assert records
    assert all(plain(record).isprintable() for record in records)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["module-builds/", "component-builds/"])
def test_no_header_of_an_answer_holds_what_a_stranger_sent(client: Client, path: str) -> None:
    answer = client.get(
        f"/module-build-service/2/{path}?a%0d%0aSet-Cookie:%20x=1%1b=1",
        headers={"X-Request-ID": "x y", "Accept": "application/json"},
    )
    assert answer.status_code == 200
    for name, value in answer.headers.items():
        assert f"{name}{value}".isprintable()


def test_the_command_line_shows_no_control_character_of_a_server(tmp_path: Any) -> None:
    """A server that answers everything with texts that act on a terminal."""
    server = subprocess.Popen(
        [sys.executable, "-c", HOSTILE_SERVER], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    environ = {**os.environ, "MBS_SERVER": f"http://127.0.0.1:{port}", "MBS_DATA_DIR": str(tmp_path)}
    try:
        for words in (["about"], ["list"], ["show", "1"], ["token", "list"], ["cancel", "1"], ["retry", "1"]):
            done = subprocess.run(
                [sys.executable, "-m", "mbs.client", *words],
                cwd=ROOT,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )
            told = done.stdout + done.stderr
            assert told
            assert "Traceback" not in told, told
            assert all(line.replace("\t", "").isprintable() for line in told.split("\n")), (words, told)
    finally:
        server.kill()
        server.wait()


HOSTILE_SERVER = """
import http.server, json
BAD = 'x\\x1b[2J\\x07\\x9b2J\\r\\u202e'
BUILD = dict(id=1, name=BAD, stream=BAD, version=BAD, context=BAD, state=4, state_name='failed', owner=BAD,
             state_reason=BAD, koji_tag=BAD, scratch=False, error=dict(hint=BAD, code=BAD),
             waiting_for=dict(what=BAD), component_builds=[], start=BAD, scopes=[BAD], time_expires=BAD)
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        refused = self.command in ('PATCH', 'POST')
        body = {**BUILD, 'items': [BUILD], 'meta': {}, 'message': BAD, 'hint': BAD, BAD: BAD,
                'problems': [dict(message=BAD, hint=BAD, tried=BAD, key=BAD)]}
        data = json.dumps(body).encode()
        self.send_response(422 if refused else 200)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_GET = do_POST = do_PATCH = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
