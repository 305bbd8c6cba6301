"""Groups of users from an LDAP server: posixGroup entries (RFC 2307) with the user as ``memberUid``."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import ldap3
from django.conf import settings
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars

from builds.services.auth.lookup_cache import cached_lookup
from mbs.errors import Unavailable

log = logging.getLogger(__name__)

#: Seconds that the server has to accept a connection, and to respond.
TIMEOUT = 10


def groups_of(username: str, *, fresh: bool = False) -> frozenset[str]:
    """Return the names of a user's groups directly below ``LDAP_GROUPS_DN``.

    Users in ``ALLOWED_USERS`` have no groups if no LDAP server is configured.

    Args:
        username: Name of the user.
        fresh: Whether to ignore cached groups.

    Raises:
        Unavailable: The server is unavailable or not configured.
    """
    options = settings.MBS
    if options.LDAP_URI and options.LDAP_GROUPS_DN:
        return cached_lookup("ldap", username, lambda: (_search(username), None), fresh=fresh)
    if username in options.ALLOWED_USERS:
        return frozenset()
    raise _unconfigured()


def _search(username: str) -> frozenset[str]:
    options = settings.MBS
    try:
        server = ldap3.Server(
            options.LDAP_URI,
            tls=ldap3.Tls(validate=ssl.CERT_REQUIRED),
            connect_timeout=TIMEOUT,
            get_info=ldap3.NONE,
        )
        with ldap3.Connection(server, read_only=True, receive_timeout=TIMEOUT) as connection:
            entries = connection.extend.standard.paged_search(
                options.LDAP_GROUPS_DN,
                f"(memberUid={escape_filter_chars(username)})",
                search_scope=ldap3.LEVEL,
                attributes=["cn"],
                paged_size=500,
                generator=False,
            )
            if connection.result["result"] != 0:
                raise _away(f"{options.LDAP_URI}: {connection.result['description']}")
    except (LDAPException, OSError) as error:
        raise _away(f"{options.LDAP_URI}: {error}") from error
    return frozenset(
        name for entry in entries if entry["type"] == "searchResEntry" for name in _names(entry["attributes"])
    )


def _names(attributes: dict[str, Any]) -> list[str]:
    """Return the values of ``cn``, which is a list or a text, depending on the server's schema."""
    value = attributes.get("cn") or []
    return [value] if isinstance(value, str) else [str(each) for each in value]


def _unconfigured() -> Unavailable:
    log.error("Groups cannot be looked up: LDAP_URI and LDAP_GROUPS_DN are not both set.")
    return Unavailable(
        "The service cannot look up the groups of users: LDAP_URI and LDAP_GROUPS_DN are not both set.",
        code="groups_not_configured",
        hint="Ask the operators of the service to set them, or to add users to ALLOWED_USERS.",
    )


def _away(reason: str) -> Unavailable:
    log.error("Groups cannot be looked up: %s", reason)
    return Unavailable(
        "The groups of users cannot be looked up at the moment.",
        code="groups_unavailable",
        hint="Try again later. If the error persists, tell the operators of the service.",
    )
