"""API tokens: made by a user who is logged in, for programs that act in their name.

A token is 256 random bits, so a plain digest of it is all that need be stored: there is nothing to guess.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from builds.models import ApiToken
from builds.services.identity.identity import Identity, Scope
from builds.services.identity.lookup_cache import digest
from mbs.errors import InvalidInput, NotAuthenticated

PREFIX = "mbs_"
#: characters that are shown of a token later on: 24 of its bits
SHOWN = len(PREFIX) + 4
DEFAULT_SCOPES = (Scope.SUBMIT, Scope.CANCEL)
DEFAULT_DAYS = 30
#: ``last_used_at`` may be off by this much: not every request shall write
USE_PRECISION = timedelta(minutes=1)


def is_ours(token: str) -> bool:
    """Whether it looks like an API token, and not like one of an OpenID provider."""
    return token.startswith(PREFIX)


def create(
    owner: str,
    name: str,
    *,
    groups: Collection[str] = (),
    scopes: Collection[str] = DEFAULT_SCOPES,
    days: int = DEFAULT_DAYS,
) -> tuple[ApiToken, str]:
    """Make a token; answers its row, and the token itself, which nobody can find out later.

    :param groups: of the owner, for which the token counts where groups cannot be looked up.
    :raises InvalidInput: the scopes or the days are not possible.
    """
    longest = settings.MBS.API_TOKEN_DAYS_MAX
    unknown = sorted(set(scopes) - set(Scope))
    if unknown or not scopes:
        raise InvalidInput(
            f"There is no scope {unknown[0][:40]!r}." if unknown else "A token needs a scope.",
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
    row = ApiToken.objects.create(
        owner=owner,
        name=name,
        groups=sorted(groups),
        scopes=sorted(set(scopes)),
        start=token[:SHOWN],
        digest=digest(token),
        expires_at=timezone.now() + timedelta(days=days),
    )
    return row, token


def revoke(token: ApiToken) -> None:
    """Have a token count no more, from now on and for good; twice is as good as once."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    token.refresh_from_db()


def identify(token: str) -> Identity:
    """The user in whose name a token acts.

    :raises NotAuthenticated: it is unknown, revoked or expired.
    :raises Unavailable: the groups of its owner cannot be looked up.
    """
    row = ApiToken.objects.filter(digest=digest(token)).first()
    now = timezone.now()
    if row is None or row.revoked_at:
        raise NotAuthenticated(
            "The API token is unknown or revoked.",
            code="token_invalid",
            hint="Make another one: mbs token create.",
        )
    if row.expires_at <= now:
        raise NotAuthenticated(
            f"The API token {row.start}... has expired.",
            code="token_expired",
            hint="Make another one: mbs token create.",
        )
    _note_use(row, now)
    return Identity(row.owner, _groups(row), scopes=frozenset(row.scopes), token_id=row.pk)


def _groups(token: ApiToken) -> frozenset[str]:
    """The owner's groups as they are now, where somebody knows them without the owner's help."""
    options = settings.MBS
    if options.AUTH_METHOD == "kerberos" and options.LDAP_URI:
        from builds.services.identity import ldap  # only where there is one

        return ldap.groups_of(token.owner)
    return frozenset(token.groups)


def _note_use(token: ApiToken, now: datetime) -> None:
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_PRECISION)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
