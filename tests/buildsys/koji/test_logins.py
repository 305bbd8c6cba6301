"""Logins by a client certificate and by Kerberos: with a real TLS server and a real KDC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from buildsys.base import BuildSystemUnavailable
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Access, Hub
from buildsys.koji.system import KojiBuildSystem
from tests.buildsys.koji import realm
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.koji.double.front import Front


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where certificates and keys lie."""
    folder = tmp_path_factory.mktemp("realm")
    realm.certificates(folder)
    return folder


@pytest.fixture
def double(folder: Path) -> Iterator[HubDouble]:
    """A hub behind TLS that takes certificates and tickets."""
    front = Front(
        folder / "localhost.pem", folder / "localhost.key", folder / "ca.pem", folder / "http.keytab"
    )
    double = HubDouble(front=front).start()
    yield double
    double.stop()


def _hub(double: HubDouble, folder: Path, authtype: str, **options: str) -> Hub:
    values = {"serverca": folder / "ca.pem"} | ({"cert": folder / "mbs.pem"} if authtype == "ssl" else {})
    config = double.write_profile(folder / "koji.conf", authtype=authtype, **values)
    return Hub(Access(config, "koji", timeout=5, retry_interval=0.01, **options))


def _expire(double: HubDouble) -> None:
    with double.lock:
        for session in double.sessions.values():
            session.expired = True


def test_a_client_certificate_logs_in_and_in_again_when_the_session_expired(
    double: HubDouble, folder: Path
) -> None:
    hub = _hub(double, folder, "ssl")
    assert hub.user["name"] == "mbs"
    _expire(double)
    assert hub.call("getPerms") == ["module-tags", "repo", "tag", "target"]
    assert hub.upload({"file": b"content"}).startswith("cli-build/")


def test_a_server_with_another_authoritys_certificate_is_not_trusted(
    double: HubDouble, folder: Path, tmp_path: Path
) -> None:
    realm.certificates(tmp_path)
    config = double.write_profile(
        tmp_path / "koji.conf", authtype="ssl", cert=folder / "mbs.pem", serverca=tmp_path / "ca.pem"
    )
    with pytest.raises(BuildSystemUnavailable, match="certificate verify failed") as caught:
        Hub(Access(config, "koji", timeout=5, retry_interval=0.01)).call("getPerms")
    assert caught.value.code in ("koji_login_failed", "build_system_unavailable")


@pytest.mark.skipif(not realm.has_kdc(), reason="there is no MIT KDC here: install krb5-kdc")
def test_a_keytab_logs_in_and_in_again_when_the_session_expired(
    double: HubDouble, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with realm.kdc(folder) as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        ccache = f"FILE:{tmp_path / 'ccache'}"
        hub = _hub(
            double, folder, "kerberos", principal="mbs", keytab=str(folder / "mbs.keytab"), ccache=ccache
        )
        assert hub.user["name"] == "mbs"
        _expire(double)
        assert "tag" in hub.call("getPerms")
        other = _hub(
            double, folder, "kerberos", principal="nobody", keytab=str(folder / "mbs.keytab"), ccache=ccache
        )
        with pytest.raises(BuildSystemUnavailable) as caught:
            other.call("getPerms")
        assert caught.value.code == "koji_login_failed"


@pytest.mark.skipif(not realm.has_kdc(), reason="there is no MIT KDC here: install krb5-kdc")
def test_a_failed_login_names_its_cause(
    double: HubDouble, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keytab = str(folder / "mbs.keytab")

    def failure(**options: str) -> str:
        options.setdefault("ccache", f"FILE:{tmp_path / str(len(causes))}")
        with pytest.raises(BuildSystemUnavailable) as caught:
            _hub(double, folder, "kerberos", **options).call("getPerms")
        return f"{caught.value.message.partition('failed: ')[2]} | {caught.value.hint}"

    causes: list[str] = []
    with realm.kdc(folder) as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        causes.append(failure(principal="mbs", keytab="/nowhere/mbs.keytab"))
        causes.append(failure(principal="nobody", keytab=keytab))
        causes.append(failure())
        causes.append(failure(principal="mbs", ccache=realm.expired_ticket(tmp_path, keytab, "mbs")))
        del double.callers["mbs"]
        causes.append(failure(principal="mbs", keytab=keytab))
    causes.append(failure(principal="mbs", keytab=keytab))
    expected = [
        "the keytab /nowhere/mbs.keytab is missing | Set KRB_PRINCIPAL and KRB_KEYTAB",
        f"the keytab {keytab} has no key of nobody | Set KRB_PRINCIPAL and KRB_KEYTAB",
        "No credentials cache found | Set KRB_PRINCIPAL and KRB_KEYTAB",
        "Ticket expired | Run kinit",
        "Unknown user: mbs | Run as an admin: koji add-user NAME; koji edit-user --add-krb",
        f"Cannot contact any KDC for realm '{realm.REALM}' | Check that this machine reaches",
    ]
    assert [cause[: len(start)] for cause, start in zip(causes, expected, strict=True)] == expected


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"password": "mbs"}, "KOJI_USER"),
        ({"user": "mbs"}, "KOJI_PASSWORD"),
        ({}, "KOJI_USER and KOJI_PASSWORD"),
    ],
)
def test_a_profile_with_a_password_names_the_options_that_are_missing(
    tmp_path: Path, given: dict[str, str], missing: str
) -> None:
    double = HubDouble().start()
    try:
        config = double.write_profile(tmp_path / "koji.conf")
        access = Access(config, "koji", timeout=5, retry_interval=0.01, **given)
        with pytest.raises(BuildSystemUnavailable, match=f"but {missing} (is|are) not set") as caught:
            Hub(access).call("getPerms")
        assert caught.value.hint == f"Set {missing}, or another authtype in {config}."
        (problem,) = KojiBuildSystem(KojiOptions(access=access)).examine([])
        assert (problem.code, problem.message) == ("koji_credentials_missing", caught.value.message)
        assert Hub(access).read_only().call("getAPIVersion"), "nothing is missing for reading"
    finally:
        double.stop()
