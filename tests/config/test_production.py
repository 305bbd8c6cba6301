"""An installation for production: Django's deployment check, file permissions, and TLS."""

from __future__ import annotations

import os
import re
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from config.databases import database
from tests.config.production import production
from tests.processes import ROOT, free_port, wait_for


def manage(tmp_path: Path, *arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run an operators' command under ProdConfiguration."""
    command = [sys.executable, "manage.py", *arguments]
    environ = production(tmp_path, **options)
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_the_check_for_deployment_finds_nothing(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", "--deploy", "--fail-level=WARNING")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_tls_the_check_for_deployment_warns(tmp_path: Path) -> None:
    """The test above can fail."""
    done = manage(
        tmp_path, "check", "--deploy", "--fail-level=WARNING", MBS_BASE_URL="http://mbs.example.com"
    )
    assert done.returncode
    assert "security.W012" in done.stderr


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_an_sqlite_database_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    import sqlite3

    path = tmp_path / "folder" / "mbs.sqlite3"
    before = os.umask(umask)
    try:
        settings = database(f"sqlite:///{path}")
        connection = sqlite3.connect(settings["NAME"])
        connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        connection.close()
    finally:
        os.umask(before)
    assert modes == {"mbs.sqlite3": 0o600, "mbs.sqlite3-wal": 0o600, "mbs.sqlite3-shm": 0o600}


def test_an_sqlite_database_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    for name in ("mbs.sqlite3", "mbs.sqlite3-wal"):
        (tmp_path / name).touch(mode=0o644)
    database(f"sqlite:///{tmp_path}/mbs.sqlite3")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


@contextmanager
def tls_front(folder: Path, port: int, behind: int) -> Iterator[None]:
    """A front that ends TLS and passes bytes on, without a header of its own."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            each.close()

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
                inner = socket.create_connection(("127.0.0.1", behind))
                outer = context.wrap_socket(client, server_side=True)
            except OSError:
                if listener.fileno() < 0:
                    return
                continue
            for pair in ((outer, inner), (inner, outer)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a service of production behind a front with TLS."""
    outside, inside = free_port(), free_port()
    environ = production(tmp_path, MBS_BASE_URL=f"https://localhost:{outside}")
    environ["DJANGO_SUPERUSER_PASSWORD"] = "open sesame"
    operator = ["createsuperuser", "--noinput", "--username=op", "--email=op@example.com"]
    for words in (["migrate", "-v0"], operator):
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=environ, check=True)
    command = [sys.executable, "manage.py", "web", f"--port={inside}"]
    with (tmp_path / "web.log").open("wb") as log:
        web = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
    try:
        wait_for(lambda: _listens(inside), what="the web server")
        with tls_front(tmp_path, outside, inside):
            yield f"https://localhost:{outside}"
    finally:
        web.terminate()
        web.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_operators_log_in_behind_a_front_with_tls(address: str, tmp_path: Path) -> None:
    verify = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with httpx.Client(base_url=address, verify=verify, trust_env=False, timeout=60) as browser:
        page = browser.get("/admin/login/")
        assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        token = re.findall('csrfmiddlewaretoken" value="([^"]+)"', page.text)[0]
        form = {"username": "op", "password": "open sesame", "csrfmiddlewaretoken": token, "next": "/admin/"}
        answer = browser.post("/admin/login/", data=form, headers={"Origin": address, "Referer": address})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/"), answer.text
        cookies = answer.headers.get_list("Set-Cookie")
        assert len(cookies) == 2
        assert all("Secure" in cookie for cookie in cookies)
        assert browser.get("/admin/").status_code == 200
        elsewhere = browser.post("/admin/login/", data=form, headers={"Origin": "https://evil.example"})
        assert elsewhere.status_code == 403
