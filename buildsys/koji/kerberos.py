"""Why a login by Kerberos failed: the client library says "401 Unauthorized" whatever the cause."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

#: what the client library wraps around the text of the hub, or of the web server before it
_WRAPPED = re.compile(r"gssapi auth failed: (?:[\w.]+: )?(.*)\)$", re.MULTILINE)
_KEYTAB = "Set KRB_PRINCIPAL and KRB_KEYTAB; `klist -kte KEYTAB` lists what a keytab holds."
#: in the text of the Kerberos library or of the hub -> what to do
_HINTS: Mapping[str, str] = {
    "Unknown user": "Run as an admin: koji add-user NAME; koji edit-user --add-krb=PRINCIPAL NAME",
    "expired": "Run kinit, or set KRB_KEYTAB, with which tickets are renewed by themselves.",
    "Cannot contact any KDC": "See whether this machine reaches the realm's KDC (krb5.conf).",
    "Cannot find KDC": "Name the realm's KDC in krb5.conf.",
    "Clock skew": "Set the clocks of this machine and of the KDC.",
    "not found in Kerberos database": "Add the principal to the realm, or correct KRB_PRINCIPAL.",
    "Decrypt integrity check failed": "The keytab is older than the principal's key: export it anew.",
    "Preauthentication failed": "The keytab is older than the principal's key: export it anew.",
    "Permission denied": "Let the user of the service read the file.",
}


def cause(error: Exception, login: Mapping[str, Any], server: str) -> tuple[str, str]:
    """Return why a login failed and what to do.

    Args:
        error: Of ``gssapi_login``.
        login: Its arguments: ``principal``, ``keytab``, ``ccache``.
        server: Address of the hub.
    """
    told = _WRAPPED.search(str(error))
    text = told[1] if told else str(error).splitlines()[0]
    if "401" in text:
        text = _of_credentials(login, server) or f"the web server of the hub refuses the ticket ({text})"
    hint = next((advice for words, advice in _HINTS.items() if words in text), _KEYTAB)
    return text, hint


def _of_credentials(login: Mapping[str, Any], server: str) -> str:
    """Why there is no ticket for the hub; empty when there is one."""
    # Needed where a login has failed only.
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
        # The library then looks for a ticket instead, and complains of that.
        is_other = keytab and principal and "No credentials cache" in text
        return f"the keytab {keytab} holds no key of {principal}" if is_other else text
    return ""


def _words(error: Any) -> str:
    """The text of the mechanism, which says more than that of GSSAPI."""
    texts = error.get_all_statuses(error.min_code, False) or error.get_all_statuses(error.maj_code, True)
    return "; ".join(texts)
