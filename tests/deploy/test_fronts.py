"""The examples of docs/fronts.md and docs/logins.md, run by nginx and Apache."""

from __future__ import annotations

import base64
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import randrange
from urllib.parse import urljoin
from uuid import uuid4

import gssapi
import httpx
import pytest

from tests.builds.services.auth.ldap_server import GROUPS_DN, directory
from tests.buildsys.koji.realm import REALM, has_kdc, kdc
from tests.config.production import production
from tests.deploy.fronts import HOST, example, front, missing
from tests.processes import ROOT, free_port, wait_for

API = "/module-build-service/2/"
#: What a client might send to choose the links in answers.
FORGED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Proto": "http",
    "X-Scheme": "http",
    "X-Script-Name": "/evil",
}
SERVERS = ("nginx", "apache")
SECRET = "only-the-front-knows-this"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service of production with an operator."""
    folder = tmp_path_factory.mktemp("service")
    environ = production(folder) | {"DJANGO_SUPERUSER_PASSWORD": "open sesame"}
    operator = ["createsuperuser", "--noinput", "--username=op", "--email=op@example.com"]
    for words in (["migrate", "-v0"], operator):
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=environ, check=True)
    return folder


@contextmanager
def service(folder: Path, **options: str) -> Iterator[int]:
    """Run the web server of the service, and yield its port."""
    port = free_port()
    command = [sys.executable, "manage.py", "web", f"--port={port}"]
    with (folder / f"web-{port}.log").open("wb") as log:
        web = subprocess.Popen(command, cwd=ROOT, env=production(folder, **options), stdout=log, stderr=log)

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/live", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, what="the web server")
        yield port
    finally:
        web.terminate()
        web.wait()


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[int]:
    """A web server whose BASE_URL says neither https nor a path: a front must."""
    with service(folder, MBS_BASE_URL=f"http://{HOST}") as port:
        yield port


def client(tmp_path: Path, port: int, own: str | None = None) -> httpx.Client:
    """Return a client that finds the example's host at a port of this machine."""
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    transport = _Here(port, context, own)
    return httpx.Client(base_url=f"https://{HOST}", transport=transport, timeout=60)


class _Here(httpx.HTTPTransport):
    """Connects to this machine, whatever host an address names."""

    def __init__(self, port: int, context: ssl.SSLContext, own: str | None) -> None:
        super().__init__(verify=context, trust_env=False, local_address=own)
        self.port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == HOST, f"the link {request.url} leads elsewhere"
        assert request.url.scheme == "https", f"the link {request.url} leads elsewhere"
        here = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1", port=self.port),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": HOST},
        )
        return super().handle_request(here)


def below(server: str, text: str) -> str:
    """Put the second block of a document, which serves below a path, into the first."""
    short = example("fronts.md", server, 1)
    if server == "nginx":
        return re.sub(r"    location / \{.*?\n    \}\n", lambda _: short, text, flags=re.DOTALL)
    text = text.replace("    RequestHeader unset X-Forwarded-Prefix\n", "")
    return re.sub(r"    ProxyPass .*\n", lambda _: short, text)


@pytest.mark.parametrize("prefix", ["", "/mbs"])
@pytest.mark.parametrize("server", SERVERS)
def test_all_links_lead_through_the_front(server: str, prefix: str, plain: int, tmp_path: Path) -> None:
    if reason := missing(server):
        pytest.skip(reason)
    text = example("fronts.md", server)
    text = below(server, text) if prefix else text
    site = f"https://{HOST}{prefix}"
    with front(server, text, tmp_path, plain) as port, client(tmp_path, port) as browser:
        for headers in ({}, FORGED):
            _check_links(browser, site, headers)
        answer = _log_in(browser, site, "op", {})
        assert answer.status_code == 302, answer.text
        assert urljoin(site, answer.headers["Location"]).startswith(f"{site}/")


def _check_links(browser: httpx.Client, site: str, headers: dict[str, str]) -> None:
    root = browser.get(f"{site}{API}", headers=headers).json()
    assert root
    assert all(address.startswith(f"{site}{API}") for address in root.values()), root
    meta = browser.get(f"{site}{API}module-builds/?state=ready", headers=headers).json()["meta"]
    assert meta["first"] == f"{site}{API}module-builds/?state=ready&page=1&per_page=10"
    assert browser.get(meta["last"]).status_code == 200
    doubled = browser.get(f"{site}/module-build-service//2/about/", headers=headers, follow_redirects=True)
    assert doubled.status_code == 200
    assert str(doubled.url).startswith(f"{site}/module-build-service/")
    schema = browser.get(root["schema"], headers=headers).json()
    assert urljoin(site, schema["servers"][0]["url"]) == f"{site}/"
    for page in (f"{site}/", f"{site}{API}", root["docs"], f"{site}/admin/login/", f"{site}/nothing"):
        _check_page(browser, page, site, headers)


def _check_page(browser: httpx.Client, page: str, site: str, headers: dict[str, str]) -> None:
    answer = browser.get(page, headers={"Accept": "text/html", **headers})
    assert answer.headers["Content-Type"].startswith("text/html")
    found = re.findall(r'(?:href|src|action|data-schema)="([^"#][^"]*)"', answer.text)
    assert any("/static/" in address for address in found), answer.text
    for address in {urljoin(page, each.replace("&amp;", "&")) for each in found}:
        assert address.startswith(f"{site}/"), f"{page} has the link {address}"
        assert browser.get(address, follow_redirects=True).status_code in (200, 401, 404, 405), address
        assert "/static/" not in address or browser.get(address).status_code == 200, address


def _log_in(browser: httpx.Client, site: str, username: str, headers: dict[str, str]) -> httpx.Response:
    page = browser.get(f"{site}/admin/login/")
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    form = {**hidden, "username": username, "password": "open sesame"}
    sent = {"Origin": f"https://{HOST}", "Referer": str(page.url), **headers}
    return browser.post(page.url, data=form, headers=sent)


@pytest.mark.parametrize("server", SERVERS)
def test_the_client_is_known_by_its_own_address(
    server: str, folder: Path, plain: int, tmp_path: Path
) -> None:
    """Failed logins are counted by it: each run has another, which is none of TRUSTED_FRONTS, and a user."""
    if reason := missing(server):
        pytest.skip(reason)
    text, username = example("fronts.md", server), f"user-{uuid4().hex}"
    own = f"127.1.{randrange(256)}.{randrange(1, 255)}"
    with front(server, text, tmp_path, plain) as port, client(tmp_path, port, own=own) as browser:
        _log_in(browser, f"https://{HOST}", username, {"X-Forwarded-For": "203.0.113.5"})
    command = [sys.executable, "manage.py", "axes_list_attempts"]
    listed = subprocess.run(command, cwd=ROOT, env=production(folder), check=True, capture_output=True).stdout
    assert f"{own}\t{username}\t1" in listed.decode()


@pytest.fixture
def keys() -> Iterator[Path]:
    """A folder that the user of Apache's processes can read, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="mbs-keys-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(not has_kdc(), reason="there is no MIT KDC here: install krb5-kdc")
def test_apache_authenticates_users_by_kerberos(
    folder: Path, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := missing("auth_gssapi"):
        pytest.skip(reason)
    options = {
        "MBS_AUTH_METHOD": "kerberos",
        "MBS_REMOTE_USER_FROM": "header",
        "MBS_FRONT_SECRET": SECRET,
        "MBS_KERBEROS_REALM": REALM,
        "MBS_LDAP_GROUPS_DN": GROUPS_DN,
        "MBS_ALLOWED_USERS": '["mbs"]',
    }
    keytab = keys / "http.keytab"
    changes = {"FRONT_SECRET": SECRET, "/etc/mbs/http.keytab": str(keytab)}
    tokens = f"{API}tokens/"
    with directory(tmp_path) as ldap, kdc(keys) as environ:
        keytab.chmod(0o644)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with (
            service(folder, **options, MBS_LDAP_URI=ldap) as behind,
            front("apache", example("logins.md", "apache"), tmp_path, behind, changes) as port,
            client(tmp_path, port) as browser,
        ):
            _check_links(browser, f"https://{HOST}", FORGED)
            forged = {"X-Remote-User": f"{SECRET} mbs@{REALM}"}
            assert browser.get(tokens, headers=forged).status_code == 401
            asked = browser.post(tokens, json={}, headers=forged)
            assert (asked.status_code, asked.headers["WWW-Authenticate"]) == (401, "Negotiate")
            assert "Apache" in asked.text or "Unauthorized" in asked.text
            made = browser.post(tokens, json={"name": "script"}, headers=_ticket(keys))
            assert (made.status_code, made.json()["owner"]) == (201, "mbs"), made.text
            bearer = {"Authorization": f"Bearer {made.json()['token']}"}
            refused = browser.post(f"{API}module-builds/", json={"nothing": 1}, headers=bearer)
            assert refused.json()["problems"][0]["code"] == "unknown_key", refused.text


def _ticket(folder: Path) -> dict[str, str]:
    """Return the header of a client that has logged in as ``mbs`` (RFC 4559)."""
    store = {"client_keytab": str(folder / "mbs.keytab"), "ccache": f"FILE:{folder}/tickets"}
    user = gssapi.Credentials(name=gssapi.Name(f"mbs@{REALM}"), usage="initiate", store=store)
    server = gssapi.Name("HTTP@localhost", gssapi.NameType.hostbased_service)
    token = gssapi.SecurityContext(name=server, creds=user, usage="initiate").step()
    return {"Authorization": f"Negotiate {base64.b64encode(token).decode()}"}
