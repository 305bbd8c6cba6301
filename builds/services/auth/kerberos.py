"""Users that a front server has authenticated by Kerberos.

Clients can send any header, so a name is accepted only from the source that ``REMOTE_USER_FROM`` configures:

environment
    The web server that runs this process sets the WSGI variable ``REMOTE_USER`` (Apache with mod_wsgi).
    Headers cannot set it, since they become variables ``HTTP_...``.
header
    A front server adds the header ``X-Remote-User: SECRET user@REALM``. The secret (``FRONT_SECRET``) proves
    that the front server wrote it, even if it does not remove the header of a client.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from builds.services.auth import ldap
from builds.services.auth.identity import Identity
from mbs.errors import NotAuthenticated

#: No blanks, because LDAP ignores them; no commas, because servers join repeated headers with them.
NAME = re.compile(r"[^@,\s\0]+@[^@,\s\0]+")


def identify(environ: Mapping[str, Any], *, fresh: bool = False) -> Identity | None:
    """Return the user that the front server names; None if it names none.

    Args:
        environ: CGI variables of the request.
        fresh: Whether to ignore cached groups.

    Raises:
        NotAuthenticated: The name does not have the form ``user@REALM``, or has another realm.
        Unavailable: The groups of the user cannot be looked up.
    """
    remote = _remote_user(environ)
    if not remote:
        return None
    username, _, realm = remote.partition("@")
    wanted = settings.MBS.KERBEROS_REALM
    if not NAME.fullmatch(remote) or (wanted and realm != wanted):
        raise NotAuthenticated(
            f"{remote[:100]!r} is not a user of this service.",
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
            # Apache and nginx write these if there is no user.
            return "" if user.strip() in ("(null)", "-") else user.strip()
    return ""
