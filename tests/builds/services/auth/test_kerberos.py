"""Users that a front server has authenticated by Kerberos, with groups from a real LDAP server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.cache import cache

from builds.models import ModuleBuild
from builds.services.auth import ldap
from mbs.errors import Unavailable
from tests.builds.services.auth.caller import Caller
from tests.builds.services.auth.conftest import build_of_ann
from tests.builds.services.auth.ldap_server import GROUPS_DN, directory, make_certificate
from tests.processes import free_port

SECRET = "0123456789abcdef"


@pytest.fixture(scope="module")
def ldap_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with directory(tmp_path_factory.mktemp("ldap")) as url:
        yield url


@pytest.fixture
def front(option: Callable[..., None], ldap_url: str) -> Callable[..., None]:
    """The service stands behind a front; the test may change options of it."""
    option(
        NO_AUTH=False,
        AUTH_METHOD="kerberos",
        REMOTE_USER_FROM="environment",
        LDAP_URI=ldap_url,
        LDAP_GROUPS_DN=GROUPS_DN,
    )
    return option


def test_the_user_of_the_web_server_counts(
    caller: Caller, build: ModuleBuild, front: Callable[..., None]
) -> None:
    answer = caller.cancel(build, REMOTE_USER="ann@EXAMPLE.COM")
    assert answer.status_code == 200, answer.content
    assert answer.json()["state_reason"] == "Canceled by ann."


def test_groups_come_from_ldap(caller: Caller, build: ModuleBuild, front: Callable[..., None]) -> None:
    assert caller.cancel(build, REMOTE_USER="bob@EXAMPLE.COM").json()["code"] == "not_owner"
    assert caller.cancel(build, REMOTE_USER="eve@EXAMPLE.COM").json()["code"] == "not_in_group"
    assert caller.cancel(build, REMOTE_USER="nobody@EXAMPLE.COM").json()["code"] == "not_in_group"


def test_only_groups_directly_below_the_entry_count(front: Callable[..., None]) -> None:
    assert ldap.groups_of("ann") == {"packager", "gardener"}


@pytest.mark.parametrize("name", ["*", "ann)(cn=*", "a*", "\\61nn", "(", "ä", "a" * 3000, " "])
def test_a_name_is_no_search_pattern(front: Callable[..., None], name: str) -> None:
    assert ldap.groups_of(name) == frozenset()


def test_groups_are_asked_for_once(
    caller: Caller, build: ModuleBuild, front: Callable[..., None], ldap_url: str
) -> None:
    caller.cancel(build, REMOTE_USER="ann@EXAMPLE.COM")
    front(LDAP_URI=f"ldap://127.0.0.1:{free_port()}")
    assert caller.cancel(build_of_ann(), REMOTE_USER="ann@EXAMPLE.COM").status_code == 200
    cache.clear()
    response = caller.cancel(build, REMOTE_USER="ann@EXAMPLE.COM")
    assert (response.status_code, response.json()["code"]) == (503, "groups_unavailable")


def test_a_server_that_does_not_know_the_entry_is_no_empty_group(front: Callable[..., None]) -> None:
    front(LDAP_GROUPS_DN="ou=elsewhere,dc=example,dc=com")
    with pytest.raises(Unavailable):
        ldap.groups_of("ann")


def test_without_ldap_only_who_is_allowed_by_name_is_let_in(
    caller: Caller, build: ModuleBuild, front: Callable[..., None]
) -> None:
    front(LDAP_URI="")
    assert caller.cancel(build, REMOTE_USER="ann@EXAMPLE.COM").status_code == 503
    front(ALLOWED_USERS=frozenset({"ann"}))
    assert caller.cancel(build, REMOTE_USER="ann@EXAMPLE.COM").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "ann",
        "ann@",
        "@EXAMPLE.COM",
        "ann@EXAMPLE.COM@EVIL.COM",
        "@",
        "ann@EVIL.COM",
        "ann @EXAMPLE.COM",
        "ann\0@EXAMPLE.COM",
    ],
)
def test_a_name_without_our_realm_is_none(
    caller: Caller, build: ModuleBuild, front: Callable[..., None], name: str
) -> None:
    front(KERBEROS_REALM="EXAMPLE.COM")
    response = caller.cancel(build, REMOTE_USER=name)
    assert (response.status_code, response.json()["code"]) == (401, "unknown_realm")
    assert response["WWW-Authenticate"] == "Negotiate"


@pytest.mark.parametrize("source", ["nowhere", "environment", "header"])
def test_no_header_of_a_client_makes_a_user(
    caller: Caller, build: ModuleBuild, front: Callable[..., None], source: str
) -> None:
    front(REMOTE_USER_FROM=source, FRONT_SECRET=SECRET, ALLOWED_USERS=frozenset({"ann"}))
    for value in (
        "ann@EXAMPLE.COM",
        " ann@EXAMPLE.COM",
        "guess ann@EXAMPLE.COM",
        SECRET,
        f"x {SECRET} ann@E",
    ):
        for header in ("REMOTE_USER", "X_REMOTE_USER", "X_FORWARDED_USER", "REMOTE-USER", "X_REMOTE-USER"):
            response = caller.cancel(build, **{f"HTTP_{header}": value})
            assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


def test_the_web_servers_variable_counts_only_where_the_service_is_behind_such_a_front(
    caller: Caller, build: ModuleBuild, front: Callable[..., None]
) -> None:
    for source in ("nowhere", "header"):
        front(REMOTE_USER_FROM=source, FRONT_SECRET=SECRET)
        assert caller.cancel(build, REMOTE_USER="ann@EXAMPLE.COM").status_code == 401


def test_a_front_that_knows_the_secret_names_users_in_a_header(
    caller: Caller, build: ModuleBuild, front: Callable[..., None]
) -> None:
    front(REMOTE_USER_FROM="header", FRONT_SECRET=SECRET)
    assert caller.cancel(build, HTTP_X_REMOTE_USER=f"{SECRET} ann@EXAMPLE.COM").status_code == 200
    for nobody in ("", "(null)", "-"):
        response = caller.cancel(build, HTTP_X_REMOTE_USER=f"{SECRET} {nobody}")
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


def test_a_header_of_the_clients_added_to_the_fronts_makes_no_user(
    caller: Caller, build: ModuleBuild, front: Callable[..., None]
) -> None:
    front(REMOTE_USER_FROM="header", FRONT_SECRET=SECRET, ALLOWED_USERS=frozenset({"ann"}))
    for joined in (
        f"ann@E,{SECRET} (null)",
        f"{SECRET} (null),ann@E",
        f"{SECRET} bob@E,ann@E",
        f"{SECRET} ,ann@E",
    ):
        assert caller.cancel(build, HTTP_X_REMOTE_USER=joined).status_code == 401


def test_an_empty_secret_is_none(caller: Caller, build: ModuleBuild, front: Callable[..., None]) -> None:
    front(REMOTE_USER_FROM="header", FRONT_SECRET="")
    assert caller.cancel(build, HTTP_X_REMOTE_USER=" ann@EXAMPLE.COM").status_code == 401


def test_openid_tokens_mean_nothing_here(
    caller: Caller, build: ModuleBuild, front: Callable[..., None]
) -> None:
    assert caller.cancel(build, "some-token").status_code == 401


def test_reads_do_not_ask_ldap(caller: Caller, build: ModuleBuild, front: Callable[..., None]) -> None:
    front(LDAP_URI=f"ldap://127.0.0.1:{free_port()}")
    path = f"/module-build-service/2/module-builds/{build.pk}"
    assert caller.client.get(path, REMOTE_USER="ann@EXAMPLE.COM", HTTP_ACCEPT="text/html").status_code == 200


@pytest.mark.parametrize(
    ("host", "trusted", "known"),
    [("localhost", True, True), ("localhost", False, False), ("evil", True, False)],
)
def test_a_server_whose_certificate_does_not_fit_is_not_believed(
    option: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    trusted: bool,
    known: bool,
) -> None:
    certificate = make_certificate(tmp_path / "server.pem", host)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate if trusted else tmp_path / "none.pem"))
    with directory(tmp_path, certificate) as url:
        option(LDAP_URI=url, LDAP_GROUPS_DN=GROUPS_DN)
        if known:
            assert ldap.groups_of("ann") == {"packager", "gardener"}
        else:
            with pytest.raises(Unavailable):
                ldap.groups_of("ann")


def test_without_an_ldap_server_the_missing_option_is_named(
    caller: Caller, build: ModuleBuild, front: Callable[..., None]
) -> None:
    front(LDAP_URI="")
    response = caller.cancel(build, REMOTE_USER="ann@EXAMPLE.COM")
    assert (response.status_code, response.json()["code"]) == (503, "groups_not_configured")
    assert "LDAP_URI and LDAP_GROUPS_DN are not both set" in response.json()["message"]
