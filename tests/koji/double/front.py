"""What stands before a hub: TLS, and who a client is by its certificate or its Kerberos ticket."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import gssapi


@dataclass
class Front:
    """A web server's part of logging in.

    Attributes:
        certificate: Of the server, with its key; ``authority`` signs those of clients.
        keytab: With the server's key for Kerberos; None: it is not offered.
    """

    certificate: Path
    key: Path
    authority: Path
    keytab: Path | None = None

    def wrap(self, listener: Any) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.authority)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context.wrap_socket(listener, server_side=True)

    def who(self, connection: Any, headers: Message) -> str:
        """The user that a client proved to be; empty: it has to prove it yet."""
        subject = (connection.getpeercert() or {}).get("subject", ())
        names = {key: value for part in subject for key, value in part}
        if "commonName" in names:
            return str(names["commonName"])
        kind, _, token = headers.get("Authorization", "").partition(" ")
        return self._by_ticket(base64.b64decode(token)) if kind == "Negotiate" and self.keytab else ""

    def _by_ticket(self, token: bytes) -> str:
        key = gssapi.Credentials(usage="accept", store={"keytab": str(self.keytab)})
        context = gssapi.SecurityContext(creds=key, usage="accept")
        context.step(token)
        return str(context.initiator_name).partition("@")[0]
