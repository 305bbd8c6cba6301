"""An LDAP server for tests: OpenLDAP's slapd, with a database of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
#: A group below another container, of the same name as one that matters, does not count.
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
def directory(folder: Path) -> Iterator[str]:
    """An LDAP server with the groups above; answers its url. Skips the test where there is no slapd."""
    program = shutil.which("slapd", path="/usr/sbin:/usr/bin:/usr/libexec")
    if program is None or not Path("/usr/lib/ldap/back_mdb.so").exists():
        pytest.skip("there is no slapd here (Debian: apt install slapd)")
    database = folder / "slapd"
    database.mkdir()
    configuration = folder / "slapd.conf"
    configuration.write_text(CONFIGURATION.format(folder=database))
    add = ("slapadd", "-f", str(configuration))
    subprocess.run(add, executable=program, input=ENTRIES, text=True, check=True, capture_output=True)
    port = free_port()
    url = f"ldap://127.0.0.1:{port}"
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
