"""An LDAP server for tests: OpenLDAP's slapd with its own database."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.processes import free_port, wait_for

GROUPS_DN = "ou=groups,dc=example,dc=com"
CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
maxsize 10485760
suffix "dc=example,dc=com"
directory {folder}
"""
#: One group is in another container and has the same name as a relevant one; it must not count.
ENTRIES = """\
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: ou=old,ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: old

dn: cn=packager,ou=groups,dc=example,dc=com
objectClass: posixGroup
cn: packager
gidNumber: 1000
memberUid: ann
memberUid: bob

dn: cn=gardener,ou=groups,dc=example,dc=com
objectClass: posixGroup
cn: gardener
gidNumber: 1001
memberUid: ann
memberUid: eve

dn: cn=sysadmin,ou=old,ou=groups,dc=example,dc=com
objectClass: posixGroup
cn: sysadmin
gidNumber: 1002
memberUid: ann
"""


@contextmanager
def directory(folder: Path, certificate: Path | None = None) -> Iterator[str]:
    """Start an LDAP server with the entries above and yield its url; skip the test without slapd.

    Args:
        certificate: File with a certificate and its key, for TLS only.
    """
    program = shutil.which("slapd", path="/usr/sbin:/usr/bin:/usr/libexec")
    if program is None or not Path("/usr/lib/ldap/back_mdb.so").exists():
        pytest.skip("slapd is not installed (Debian: apt install slapd)")
    database = folder / "slapd"
    database.mkdir()
    configuration = folder / "slapd.conf"
    tls = f"TLSCertificateFile {certificate}\nTLSCertificateKeyFile {certificate}\n" if certificate else ""
    configuration.write_text(tls + CONFIGURATION.format(folder=database))
    add = ("slapadd", "-f", str(configuration))
    subprocess.run(add, executable=program, input=ENTRIES, text=True, check=True, capture_output=True)
    port = free_port()
    url = f"{'ldaps' if certificate else 'ldap'}://localhost:{port}"
    server = subprocess.Popen(
        (program, "-h", url, "-f", str(configuration), "-d", "0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(listens, what="slapd")
        yield url
    finally:
        server.kill()
        server.wait()


def make_certificate(path: Path, host: str) -> Path:
    """Write a self-signed certificate for a host and its key into one file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path
