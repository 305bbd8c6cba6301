"""Users whom a front server has authenticated, by Kerberos.

Whoever reaches the service can send any header, so a name counts only where the configuration says that
a front is there (``REMOTE_USER_FROM``):

environment
    The web server that runs this process sets the WSGI variable ``REMOTE_USER`` (Apache with mod_wsgi). No
    header becomes that variable: headers arrive as ``HTTP_...``.
header
    A front passes requests on, with ``X-Remote-User: SECRET user@REALM``. The secret (``FRONT_SECRET``) shows
    that the front wrote it, even if it forgets to remove what a client sent.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from builds.services.identity import ldap
from builds.services.identity.identity import Identity
from mbs.errors import NotAuthenticated

#: No blanks: LDAP takes no notice of them. No commas: servers join headers of the same name by them.
NAME = re.compile(r"[^@,\s\0]+@[^@,\s\0]+")


def identify(environ: Mapping[str, Any], *, fresh: bool = False) -> Identity | None:
    """The user that the front names; None when it names none.

    :param fresh: look the groups up, even if they were looked up not long ago.
    :raises NotAuthenticated: the name is not of the form ``user@REALM``, or of another realm.
    :raises Unavailable: the groups of the user cannot be had.
    """
    remote = _remote_user(environ)
    if not remote:
        return None
    username, _, realm = remote.partition("@")
    wanted = settings.MBS.KERBEROS_REALM
    if not NAME.fullmatch(remote) or (wanted and realm != wanted):
        raise NotAuthenticated(
            f"{remote[:100]!r} is no user of this service.",
            code="unknown_realm",
            hint=f"Log in as user@{wanted or 'REALM'}.",
        )
    return Identity(username, ldap.groups_of(username, fresh=fresh))


def _remote_user(environ: Mapping[str, Any]) -> str:
    options = settings.MBS
    if options.REMOTE_USER_FROM == "environment":
        return str(environ.get("REMOTE_USER") or "")
    if options.REMOTE_USER_FROM == "header" and options.FRONT_SECRET:
        secret, _, user = str(environ.get("HTTP_X_REMOTE_USER", "")).partition(" ")
        if hmac.compare_digest(secret.encode(), options.FRONT_SECRET.encode()):
            # What Apache and nginx write for nobody.
            return "" if user.strip() in ("(null)", "-") else user.strip()
    return ""
