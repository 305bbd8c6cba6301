"""Services that accept connections and answer nothing, while strangers ask."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hostile.web_server import Web, serving

_COMPONENT = """
from builds.models import ComponentBuild, ModuleBuild
from mbs.states import BuildState, ComponentState

columns = {"name": "tiny", "stream": "1", "version": "1", "context": "c0ffee12", "owner": "somebody"}
build = ModuleBuild.objects.create(
    pk=1, state=BuildState.READY, modulemd="", koji_tag="module-tiny", batch=1, **columns
)
build.arch_names = ["x86_64"]
build.save()
build.component_builds.create(
    package="libtiny", state=ComponentState.COMPLETE, task_id=7, nvr="libtiny-1-1", batch=1, format="rpms"
)
"""
_PROFILE = """
[koji]
server = http://{silent}/kojihub
topurl = http://{silent}/kojifiles
authtype = noauth
"""
LOG = "/builds/1/libtiny/log"
API = "/module-build-service/2"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder: Path = tmp_path_factory.mktemp("web")
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as service:
        silent = f"127.0.0.1:{service.getsockname()[1]}"
        profile = folder / "koji.conf"
        profile.write_text(_PROFILE.format(silent=silent))
        provider = folder / "provider.json"
        secrets = {"client_id": "mbs", "token_introspection_uri": f"http://{silent}/introspect"}
        provider.write_text(json.dumps({"web": secrets}))
        options = {
            "SYSTEM": "koji",
            "KOJI_CONFIG": str(profile),
            "BROKER_URL": f"redis://{silent}/0",
            "NO_AUTH": "False",
            "AUTH_METHOD": "oidc",
            "OIDC_CLIENT_SECRETS": str(provider),
            "OIDC_REQUIRED_SCOPE": "mbs",
        }
        with serving(folder, _COMPONENT, **options) as server:
            yield server


@pytest.mark.parametrize(
    "path",
    [
        LOG,
        f"{LOG}/",
        f"{LOG}/events?task=8",
        f"{API}/module-builds/?rpm=tiny-1-1.x86_64",
        "/module-build-service/1/module-builds/?%72pm=tiny-1-1.x86_64",
        f"{API}/final-modulemd/1",
        f"{API}/monitor/metrics",
    ],
)
def test_requests_that_wait_for_them_do_not_delay_others(web: Web, path: str) -> None:
    """More of them than there are threads."""
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(web.connection(web.get(path)))
        page = web.answer(web.get("/builds/1", "Connection: close"))
        assert page.startswith(b"HTTP/1.1 200 ")
        assert web.is_well()


def test_a_charset_of_the_body_does_not_hide_the_filter_rpm(web: Web) -> None:
    """In UTF-7, ``+AHI-`` is the letter r."""
    hidden = web.get(
        f"{API}/module-builds/?+AHI-pm=tiny-1-1.x86_64", "Content-Type: text/plain; charset=utf-7"
    )
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(web.connection(hidden))
        page = web.answer(web.get("/builds/1", "Connection: close"))
        assert page.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", [f"{API}/me/", "/submit"])
def test_requests_with_tokens_that_cannot_be_checked_do_not_delay_others(web: Web, path: str) -> None:
    with ExitStack() as stack:
        for number in range(40):
            token = f"Authorization: Bearer {path.strip('/')}-{number}"
            stack.enter_context(web.connection(web.get(path, token)))
        page = web.answer(web.get("/builds/1", "Connection: close"))
        assert page.startswith(b"HTTP/1.1 200 ")
        assert web.is_well()
