"""Find out why a login by Kerberos failed, since the client library always reports "401 Unauthorized"."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

#: The client library's text around the message of the hub or web server.
_WRAPPED = re.compile(r"gssapi auth failed: (?:[\w.]+: )?(.*)\)$", re.MULTILINE)
_KEYTAB = "Set KRB_PRINCIPAL and KRB_KEYTAB; `klist -kte KEYTAB` lists the keys of a keytab."
#: Part of the message of the Kerberos library or the hub -> hint.
_HINTS: Mapping[str, str] = {
    "Unknown user": "Run as an admin: koji add-user NAME; koji edit-user --add-krb=PRINCIPAL NAME",
    "expired": "Run kinit, or set KRB_KEYTAB, which renews tickets automatically.",
    "Cannot contact any KDC": "Check that this machine reaches the realm's KDC (krb5.conf).",
    "Cannot find KDC": "Name the realm's KDC in krb5.conf.",
    "Clock skew": "Set the clocks of this machine and of the KDC.",
    "not found in Kerberos database": "Add the principal to the realm, or correct KRB_PRINCIPAL.",
    "Decrypt integrity check failed": "The keytab is older than the principal's key: export it again.",
    "Preauthentication failed": "The keytab is older than the principal's key: export it again.",
    "Permission denied": "Let the user of the service read the file.",
}


def cause(error: Exception, login: Mapping[str, Any], server: str) -> tuple[str, str]:
    """Return why a login failed and what to do.

    Args:
        error: Exception of ``gssapi_login``.
        login: Its arguments: ``principal``, ``keytab``, ``ccache``.
        server: Address of the hub.
    """
    match = _WRAPPED.search(str(error))
    text = match[1] if match else str(error).splitlines()[0]
    if "401" in text:
        text = _of_credentials(login, server) or f"the hub's web server refuses the ticket ({text})"
    hint = next((advice for words, advice in _HINTS.items() if words in text), _KEYTAB)
    return text, hint


def _of_credentials(login: Mapping[str, Any], server: str) -> str:
    """Return why there is no ticket for the hub, or an empty text if there is one."""
    # Imported here because only a failed login needs it.
    import gssapi
    from gssapi.raw.misc import GSSError

    keytab, principal = str(login.get("keytab") or ""), str(login.get("principal") or "")
    if keytab and not os.access(keytab, os.R_OK):
        there = os.path.exists(keytab)
        return f"the keytab {keytab} {'cannot be read: Permission denied' if there else 'is missing'}"
    store = {"client_keytab": keytab, "ccache": str(login.get("ccache") or "")}
    try:
        credentials = gssapi.Credentials(
            name=gssapi.Name(principal, gssapi.NameType.kerberos_principal) if principal else None,
            usage="initiate",
            store={key: value for key, value in store.items() if value} or None,
        )
        target = gssapi.Name(f"HTTP@{urlsplit(server).hostname}", gssapi.NameType.hostbased_service)
        gssapi.SecurityContext(name=target, creds=credentials, usage="initiate").step()
    except GSSError as error:
        text = _words(error)
        # If the keytab has no key, the library looks for a ticket and reports that it is missing.
        is_other = keytab and principal and "No credentials cache" in text
        return f"the keytab {keytab} has no key of {principal}" if is_other else text
    return ""


def _words(error: Any) -> str:
    """Return the mechanism's message, which is more detailed than that of GSSAPI."""
    texts = error.get_all_statuses(error.min_code, False) or error.get_all_statuses(error.maj_code, True)
    return "; ".join(texts)
