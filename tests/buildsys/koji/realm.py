"""A Kerberos realm and a certificate authority for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import free_port, wait_for

REALM = "MBS.TEST"
_KRB5 = """\
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {realm} = {{
    kdc = 127.0.0.1:{port}
  }}
"""
_KDC = """\
[kdcdefaults]
  kdc_listen = ""
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {realm} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
  }}
"""


def has_kdc() -> bool:
    """Return whether the programs of a KDC are installed."""
    return all(shutil.which(program, path=_path()) for program in ("krb5kdc", "kdb5_util", "kadmin.local"))


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


@contextmanager
def kdc(folder: Path) -> Iterator[dict[str, str]]:
    """Run a KDC with keys for ``mbs`` (``mbs.keytab``) and the web server (``http.keytab``) in ``folder``.

    Yield the environment variables that clients need.
    """
    port = free_port()
    (folder / "krb5.conf").write_text(_KRB5.format(realm=REALM, port=port))
    (folder / "kdc.conf").write_text(_KDC.format(realm=REALM, port=port, folder=folder))
    client = {"KRB5_CONFIG": str(folder / "krb5.conf")}
    environ = {**os.environ, **client, "KRB5_KDC_PROFILE": str(folder / "kdc.conf"), "PATH": _path()}

    for former in (*folder.glob("principal*"), *folder.glob("*.keytab"), folder / "stash"):
        former.unlink(missing_ok=True)

    def run(*command: str) -> None:
        subprocess.run(command, env=environ, check=True, capture_output=True, timeout=60)

    run("kdb5_util", "create", "-s", "-P", "only a test", "-r", REALM)
    for principal, keytab in (("mbs", "mbs.keytab"), ("HTTP/localhost", "http.keytab")):
        run("kadmin.local", "-r", REALM, "-q", f"addprinc -randkey {principal}")
        run("kadmin.local", "-r", REALM, "-q", f"ktadd -k {folder / keytab} {principal}")
    server = subprocess.Popen(
        ["krb5kdc", "-n", "-r", REALM], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(listens, 10, "the KDC")
        yield client
    finally:
        server.terminate()
        server.wait(10)


def expired_ticket(folder: Path, keytab: str, principal: str) -> str:
    """Return a credentials cache whose only ticket has expired; needs a running ``kdc``."""
    cache, probe = folder / "expired", folder / "probe"
    command = ["kinit", "-l", "1s", "-k", "-t", keytab, "-c", f"FILE:{cache}", principal]
    subprocess.run(command, check=True, capture_output=True, timeout=60)

    def refused() -> bool:
        # Use a copy, because a ticket that the KDC still issues is stored in the cache.
        shutil.copy(cache, probe)
        kvno = ["kvno", "-c", f"FILE:{probe}", "HTTP/localhost"]
        return subprocess.run(kvno, capture_output=True, timeout=60, check=False).returncode != 0

    wait_for(refused, 30, "the ticket to expire")
    return f"FILE:{cache}"


def certificates(folder: Path) -> None:
    """Make ``ca.pem``, ``localhost.pem`` with ``localhost.key``, and ``mbs.pem`` with its key inside."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-batch")
    # RFC 5280 requires these extensions, and Python 3.13 and later check them.
    usage = ("-addext", "keyUsage = critical, keyCertSign, cRLSign")
    openssl(
        *new, "-x509", "-subj", "/CN=Test CA", *usage, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"
    )
    for name in ("localhost", "mbs"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(
            f"subjectAltName = DNS:{name}\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
        )
        sign = ("x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        openssl(*sign, "-in", f"{name}.csr", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    with (folder / "mbs.pem").open("a") as both:
        both.write((folder / "mbs.key").read_text())
