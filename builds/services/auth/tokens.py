"""API tokens, which logged-in users create for programs that act in their name.

A token has 256 random bits, so storing its plain digest is safe: it cannot be guessed.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from builds.models import ApiToken
from builds.services import audit
from builds.services.auth.identity import Identity, Scope
from builds.services.auth.lookup_cache import digest
from mbs.errors import InvalidInput, NotAuthenticated

PREFIX = "mbs_"
#: Characters of a token that are stored and shown, which contain 24 of its bits.
SHOWN = len(PREFIX) + 4
DEFAULT_SCOPES = (Scope.SUBMIT, Scope.CANCEL)
DEFAULT_DAYS = 30
#: Precision of ``last_used_at``, so that not every request writes to the database.
USE_PRECISION = timedelta(minutes=1)


def is_api_token(token: str) -> bool:
    """Return whether a token has the form of an API token."""
    return token.startswith(PREFIX)


def create(
    owner: str,
    name: str,
    *,
    groups: Collection[str] = (),
    scopes: Collection[str] = DEFAULT_SCOPES,
    days: int = DEFAULT_DAYS,
    by: str = "",
) -> tuple[ApiToken, str]:
    """Create a token.

    Args:
        owner: Name of the user in whose name it acts.
        name: Name of the token, for its owner.
        groups: Groups of the owner, used if groups cannot be looked up later.
        scopes: Its scopes.
        days: Days for which it is valid.
        by: Name of the user who creates it; by default the owner.

    Returns:
        Its row, and the token itself, which is not stored.

    Raises:
        InvalidInput: The scopes or the days are not valid.
    """
    longest = settings.MBS.API_TOKEN_DAYS_MAX
    unknown = sorted(set(scopes) - set(Scope))
    if unknown or not scopes:
        raise InvalidInput(
            f"There is no scope {unknown[0][:40]!r}." if unknown else "A token needs at least one scope.",
            code="unknown_scope",
            hint=f"Scopes are {', '.join(Scope)}.",
        )
    if not 1 <= days <= longest:
        raise InvalidInput(
            f"A token cannot be valid for {str(days)[:20]} days.",
            code="invalid_days",
            hint=f"Use 1 to {longest}.",
        )
    token = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        row = ApiToken.objects.create(
            owner=owner,
            name=name,
            groups=sorted(groups),
            scopes=sorted(set(scopes)),
            start=token[:SHOWN],
            digest=digest(token),
            expires_at=timezone.now() + timedelta(days=days),
        )
        permits = f"scopes: {', '.join(row.scopes)}"
        audit.record(audit.TOKEN_CREATED, by or owner, subject=str(row), detail=permits)
    return row, token


def revoke(token: ApiToken, by: str = "") -> None:
    """Revoke a token for ever.

    Args:
        by: Name of the user who revokes it; by default the owner.
    """
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            audit.record(audit.TOKEN_REVOKED, by or token.owner, subject=str(token))
    token.refresh_from_db()


def identify(token: str) -> Identity:
    """Return the user in whose name a token acts.

    Raises:
        NotAuthenticated: The token is unknown, revoked or expired.
        Unavailable: The groups of its owner cannot be looked up.
    """
    row = ApiToken.objects.filter(digest=digest(token)).first()
    now = timezone.now()
    if row is None or row.revoked_at:
        raise NotAuthenticated(
            "The API token is unknown or revoked.",
            code="token_invalid",
            hint="Create another one: mbs token create.",
        )
    if row.expires_at <= now:
        raise NotAuthenticated(
            f"The API token {row.start}... has expired.",
            code="token_expired",
            hint="Create another one: mbs token create.",
        )
    _note_use(row, now)
    return Identity(row.owner, _groups(row), scopes=frozenset(row.scopes), token_id=row.pk)


def _groups(token: ApiToken) -> frozenset[str]:
    """Return the owner's groups: the present ones if LDAP is configured, otherwise the stored ones."""
    options = settings.MBS
    if options.AUTH_METHOD == "kerberos" and options.LDAP_URI:
        from builds.services.auth import ldap  # only where there is one

        return ldap.groups_of(token.owner)
    return frozenset(token.groups)


def _note_use(token: ApiToken, now: datetime) -> None:
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_PRECISION)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
