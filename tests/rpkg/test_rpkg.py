"""The real rpkg 1.70 from PyPI uses the service (docs/contract/rest.md)."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builds.services.auth.ldap_server import GROUPS_DN, directory
from tests.builds.services.auth.oidc_provider import SCOPES, Issuer, issuer
from tests.gitrepos import git
from tests.processes import wait_for
from tests.rpkg.conftest import Rpkg
from tests.rpkg.front import front
from tests.rpkg.service import MODULEMD, Service

FRONT_SECRET = "a secret of the front's own"


@pytest.fixture(scope="session")
def open_port(service: Service) -> int:
    """A web server without logins."""
    return service.web()


@pytest.fixture
def rpkg(client: Callable[..., Rpkg], open_port: int) -> Rpkg:
    return client(f"http://127.0.0.1:{open_port}")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Name of a module that no other run of a test uses."""
    test = re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))[:31].strip("-")
    return f"{test}-{secrets.token_hex(4)}"


def submitted(output: str) -> list[int]:
    """Numbers of the builds that rpkg says it has submitted."""
    return [int(number) for number in re.findall(r"/module-builds/(\d+)$", output, re.MULTILINE)]


def test_submit_watch_info_and_overview(rpkg: Rpkg, service: Service, open_port: int, name: str) -> None:
    output = rpkg("module-build", service.module(name), "main")
    (build,) = submitted(output)
    assert f"The build {build} was submitted to the MBS" in output
    watched = rpkg("module-build-watch", str(build))
    assert f"[Build #{build}] {name}-main-" in watched
    assert 'is in "ready" state.' in watched, watched
    assert "Components: 3 done, 0 failed" in watched
    info = rpkg("module-build-info", str(build))
    assert re.search(rf"^Name: +{name}$", info, re.MULTILINE)
    assert re.search(r"^State: +ready$", info, re.MULTILINE)
    assert re.search(r"Name: +second\n +NVR: +second-.*\n +State: +COMPLETE\n +Koji Task: +http", info)
    overview = rpkg("module-overview", "--limit", "1")
    assert re.search(rf"ID: +{build}\nName: +{name}\n", overview)
    assert f"ID:       {build}\n" in rpkg("module-overview", "--owner", "anonymous")
    assert rpkg("module-overview", "--owner", "nobody") == ""
    assert f"ID:       {build}\n" not in rpkg("module-overview", "--unfinished")


def test_submit_and_watch_in_one(rpkg: Rpkg, service: Service, name: str) -> None:
    output = rpkg("module-build", "--watch", service.module(name), "main")
    assert 'is in "ready" state.' in output


def test_a_module_is_submitted_from_its_checkout(
    rpkg: Rpkg, service: Service, open_port: int, name: str
) -> None:
    service.module(name)
    checkout = rpkg.home / name
    git(rpkg.home, "clone", "--quiet", f"{service.git.as_uri()}/modules/{name}", str(checkout))
    (build,) = submitted(rpkg("module-build", cwd=checkout))
    shown = service.get(open_port, f"module-builds/{build}")
    assert (shown["name"], shown["stream"]) == (name, "main")
    assert shown["scmurl"].endswith(git(checkout, "rev-parse", "HEAD"))


def test_a_scratch_build_of_a_file_in_a_checkout(
    rpkg: Rpkg, service: Service, open_port: int, name: str
) -> None:
    """rpkg sends the address of the checkout with it."""
    service.module(name)
    checkout = rpkg.home / name
    git(rpkg.home, "clone", "--quiet", f"{service.git.as_uri()}/modules/{name}", str(checkout))
    file = rpkg.home / "other.yaml"
    file.write_text(MODULEMD.replace("data:\n", "data:\n  stream: test\n"))
    (build,) = submitted(rpkg("module-scratch-build", "--file", str(file), cwd=checkout))
    shown = service.get(open_port, f"module-builds/{build}")
    assert (shown["name"], shown["stream"], shown["scratch"]) == ("other", "test", True)
    assert shown["scmurl"] is None


def test_a_scratch_build_of_a_file_alone_and_again(
    rpkg: Rpkg, service: Service, open_port: int, name: str
) -> None:
    file = rpkg.home / f"{name}.yaml"
    file.write_text(MODULEMD.replace("data:\n", "data:\n  stream: test\n  version: 7\n"))
    contexts = []
    for _ in range(2):
        output = rpkg("module-build", "--scratch", "--file", str(file), "--watch")
        assert 'is in "done" state.' in output or 'is in "ready" state.' in output
        number = int(re.search(r"\[Build #(\d+)\]", output)[1])
        contexts.append(service.get(open_port, f"module-builds/{number}")["context"])
    assert [context[-2:] for context in contexts] == ["_1", "_2"]


@pytest.fixture
def held(service: Service) -> Iterator[Path]:
    """A file; while it is there no component ends by itself."""
    service.held.write_text("first second")
    yield service.held
    service.held.unlink(missing_ok=True)


@pytest.mark.usefixtures("held")
def test_cancel(rpkg: Rpkg, service: Service, open_port: int, name: str) -> None:
    (build,) = submitted(rpkg("module-build", service.module(name), "main"))
    output = rpkg("module-build-cancel", str(build))
    assert f"The module build #{build} was cancelled" in output
    assert service.get(open_port, f"module-builds/{build}")["state_reason"] == "Canceled by anonymous."
    watched = rpkg("module-build-watch", str(build))
    assert "Reason: Canceled by anonymous." in watched
    again = rpkg("module-build-cancel", str(build), fails=True)
    assert f"The cancellation of module build #{build} failed with:\n" in again
    assert f"Module build {build} is failed (it was canceled)" in again


def test_overrides_and_options(rpkg: Rpkg, service: Service, open_port: int, name: str) -> None:
    overrides = ("--buildrequires", "platform:el9", "--requires", "platform:el10")
    options = ("--optional", "rebuild_strategy=all")
    (build,) = submitted(rpkg("module-build", *overrides, *options, service.module(name), "main"))
    shown = service.get(open_port, f"module-builds/{build}?verbose=true")
    assert shown["rebuild_strategy"] == "all"
    assert shown["buildrequires"]["platform"]["stream"] == "el9"
    (dependencies,) = yaml.safe_load(shown["modulemd"])["data"]["dependencies"]
    assert dependencies["requires"] == {"platform": ["el10"]}


def test_the_message_of_a_refusal_is_printed_unchanged(rpkg: Rpkg, service: Service, name: str) -> None:
    scmurl = service.module(name)
    (build,) = submitted(rpkg("module-build", scmurl, "main"))
    rpkg("module-build-watch", str(build))
    again = rpkg("module-build", scmurl, "main", fails=True)
    assert "The build failed with:\nNothing to build: " in again
    elsewhere = rpkg("module-build", "https://evil.example.com/modules/x?#abc", "main", fails=True)
    assert "The build failed with:\n" in elsewhere
    assert "evil.example.com" in elsewhere
    assert "There is no module build 99999." in rpkg("module-build-info", "99999", fails=True)


def test_a_failed_build_is_submitted_again(
    rpkg: Rpkg, service: Service, open_port: int, name: str, held: Path
) -> None:
    scmurl = service.module(name)
    (build,) = submitted(rpkg("module-build", scmurl, "main"))
    rpkg("module-build-cancel", str(build))

    def stopped() -> bool:
        components = service.get(open_port, f"component-builds/?module_build={build}")["items"]
        return all(component["state"] != 0 for component in components)

    wait_for(stopped, what="the components to stop")
    held.unlink()
    assert submitted(rpkg("module-build", scmurl, "main")) == [build]
    assert 'is in "ready" state.' in rpkg("module-build-watch", str(build))


# OpenID


@pytest.fixture(scope="module")
def provider() -> Iterator[Issuer]:
    with issuer() as there:
        yield there


@pytest.fixture(scope="module")
def oidc_port(service: Service, provider: Issuer, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A web server that asks an OpenID provider."""
    secrets = provider.secrets_file(tmp_path_factory.mktemp("oidc"))
    return service.web(NO_AUTH="false", OIDC_REQUIRED_SCOPE="mbs/submit", OIDC_CLIENT_SECRETS=str(secrets))


@pytest.fixture
def oidc(client: Callable[..., Rpkg], oidc_port: int, provider: Issuer) -> Rpkg:
    auth = (
        f"auth_method = oidc\noidc_id_provider = {provider.url}/\noidc_client_id = mbs-authorizer\n"
        f"oidc_scopes = {', '.join(SCOPES)}"
    )
    return client(f"http://127.0.0.1:{oidc_port}", auth)


def log_in(rpkg: Rpkg, provider: Issuer, user: str, *, seconds: float = 300) -> Path:
    """Put a token where rpkg's OpenID client keeps those that it has got."""
    token = provider.opaque(user, seconds=seconds)
    provider.refresh_tokens[f"refresh-{user}"] = user
    provider.opaque_logins = True
    kept = {
        "idp": f"{provider.url}/",
        "sub": user,
        "access_token": token,
        "token_type": "Bearer",
        "expires_at": time.time() + seconds,
        "refresh_token": f"refresh-{user}",
        "scopes": list(SCOPES),
    }
    path = rpkg.home / ".openidc" / "oidc_mbs_build.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"0": kept}))
    return path


@pytest.mark.usefixtures("held")
def test_with_an_openid_token(
    oidc: Rpkg, service: Service, provider: Issuer, oidc_port: int, name: str
) -> None:
    log_in(oidc, provider, "ann")
    (build,) = submitted(oidc("module-build", service.module(name), "main"))
    assert service.get(oidc_port, f"module-builds/{build}")["owner"] == "ann"
    provider.groups["bob"] = ["packager"]
    log_in(oidc, provider, "bob")
    refused = oidc("module-build-cancel", str(build), fails=True)
    assert f"Module build {build} belongs to ann, not to bob." in refused
    log_in(oidc, provider, "ann")
    assert "was cancelled" in oidc("module-build-cancel", str(build))
    assert "Reason: Canceled by ann." in oidc("module-build-watch", str(build))


def test_an_expired_openid_token_is_renewed(
    oidc: Rpkg, service: Service, provider: Issuer, oidc_port: int, name: str
) -> None:
    cache = log_in(oidc, provider, "ann", seconds=-10)
    before = provider.asked["/Token"]
    (build,) = submitted(oidc("module-build", service.module(name), "main"))
    assert service.get(oidc_port, f"module-builds/{build}")["owner"] == "ann"
    assert provider.asked["/Token"] == before + 1
    (kept,) = json.loads(cache.read_text()).values()
    assert kept["access_token"] in provider.tokens


def test_a_user_outside_the_allowed_groups_gets_the_reason(
    oidc: Rpkg, service: Service, provider: Issuer, name: str
) -> None:
    provider.groups["eve"] = ["gardeners"]
    log_in(oidc, provider, "eve")
    refused = oidc("module-build", service.module(name), "main", fails=True)
    assert "eve is in none of the groups packager." in refused


def test_tokens_are_kept_while_a_provider_is_down(
    oidc: Rpkg, service: Service, provider: Issuer, name: str
) -> None:
    cache = log_in(oidc, provider, "ann")
    before = cache.read_text()
    provider.status = 500
    try:
        refused = oidc("module-build", service.module(name), "main", fails=True)
    finally:
        provider.status = 200
    assert "Logins cannot be checked at the moment." in refused
    assert cache.read_text() == before


# Kerberos


@pytest.mark.usefixtures("held")
def test_behind_a_front_that_knows_kerberos(
    client: Callable[..., Rpkg], service: Service, tmp_path: Path, name: str
) -> None:
    """rpkg sends a body without any Content-Type; the front says who it is."""
    with directory(tmp_path) as ldap_url:
        port = service.web(
            NO_AUTH="false",
            AUTH_METHOD="kerberos",
            REMOTE_USER_FROM="header",
            FRONT_SECRET=FRONT_SECRET.replace(" ", "-"),
            KERBEROS_REALM="EXAMPLE.COM",
            LDAP_URI=ldap_url,
            LDAP_GROUPS_DN=GROUPS_DN,
        )
        with front(port, f"{FRONT_SECRET.replace(' ', '-')} ann@EXAMPLE.COM") as (url, seen):
            rpkg = client(url)
            (build,) = submitted(rpkg("module-build", service.module(name), "main"))
            rpkg("module-build-cancel", str(build))
        changes = [request for request in seen if request["method"] in ("POST", "PATCH")]
        assert [request["method"] for request in changes] == ["POST", "PATCH"]
        assert not any("content-type" in request for request in changes)
        shown = service.get(port, f"module-builds/{build}")
        assert (shown["owner"], shown["state_reason"]) == ("ann", "Canceled by ann.")
        direct = client(f"http://127.0.0.1:{port}")
        refused = direct("module-build", service.again(name), "main", fails=True)
        assert "MBS authentication using Kerberos failed." in refused


# Local builds

QUICK = {"MBS_SYSTEM": "simulated", "MBS_SIMULATED_BUILD_SECONDS": "0", "MBS_SIMULATED_REPO_SECONDS": "0"}


def test_a_local_build(rpkg: Rpkg, service: Service, name: str) -> None:
    file = rpkg.home / f"{name}.yaml"
    text = MODULEMD
    for package in ("first", "second"):
        repository = f"{service.git.as_uri()}/rpms/{package}"
        text = text.replace(f"{package}: {{", f"{package}: {{repository: '{repository}', ")
    file.write_text(text)
    command = ("module-build-local", "--file", str(file), "--stream", "main")
    first = rpkg(*command, "--skip-tests", "--offline", "-r", "/etc/some.repo", **QUICK)
    document = Path(re.search(r"document +(/.*)", first)[1])
    assert document.name.startswith(f"{name}:main:")
    assert f"{name}:main:" in first
    assert "is ready" in first
    assert "/etc/some.repo is ignored" in first
    assert "exit 0" in document.read_text()

    user = rpkg.home / "user.yaml"
    needs = text.replace("{platform: [el9]}\n    requires", f"{{platform: [el9], {name}: []}}\n    requires")
    user.write_text(needs)
    command = ("module-build-local", "--file", str(user), "--stream", "main")
    alone = rpkg(*command, fails=True, **QUICK)
    assert name in alone
    second = rpkg(*("-q", *command, "--add-local-build", f"{name}:main", "-s", f"{name}:main"), **QUICK)
    assert "is ready" in second
    assert "batch 1" not in second
    missing = rpkg(*command, "--add-local-build", "nothing:main", fails=True)
    assert "There is no finished local build of 'nothing:main'" in missing
    left: Any = subprocess.run(("pgrep", "-f", str(rpkg.home)), capture_output=True, text=True).stdout
    assert left == ""
