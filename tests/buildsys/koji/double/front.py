"""The web server before a hub: TLS, and authentication by certificates or Kerberos tickets."""

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
    """The web server's part of a login.

    Attributes:
        certificate: Certificate of the server.
        key: Its key.
        authority: Certificate that signs those of clients.
        keytab: The server's Kerberos keytab; None to disable Kerberos.
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
        """Return the authenticated user, or an empty text."""
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
