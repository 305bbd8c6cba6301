"""Who is asking.

In ``NO_AUTH`` mode everybody is trusted, and a request says in its body for whom it acts (``acting_for``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from mbs.errors import Forbidden, InvalidInput, NotAuthenticated

ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class Identity:
    """A user, as the service knows them.

    :param trusted: may do everything, and says themselves for whom they act.
    """

    username: str
    groups: frozenset[str] = frozenset()
    trusted: bool = False
    is_authenticated: bool = True

    def __str__(self) -> str:
        return self.username


class NoAuthentication(BaseAuthentication):
    """Everybody is anonymous and trusted, where the configuration says so."""

    def authenticate(self, request: Request) -> tuple[Identity, None] | None:
        if not settings.MBS.NO_AUTH:
            return None
        return Identity(ANONYMOUS, trusted=True), None


def require_login(identity: Identity | None) -> Identity:
    """The identity of a user who is logged in.

    :raises NotAuthenticated: nobody is.
    """
    if identity is None:
        raise NotAuthenticated(
            "This needs credentials.", hint="Log in, or send a token that has not expired, and try again."
        )
    return identity


def require_importer(identity: Identity | None) -> Identity:
    """The identity of a user who may import modules.

    :raises NotAuthenticated: nobody is logged in.
    :raises Forbidden: nobody may, or the user is in none of the groups that may.
    """
    groups = settings.MBS.ALLOWED_GROUPS_TO_IMPORT_MODULE
    if not groups:
        raise Forbidden(
            "Importing modules over REST is switched off here.",
            code="import_not_allowed",
            hint="Operators import with the command mbs-manager import_module.",
        )
    identity = require_login(identity)
    if not identity.trusted and not identity.groups & groups:
        raise _not_in(identity, groups)
    return identity


def _not_in(identity: Identity, groups: Collection[str]) -> Forbidden:
    return Forbidden(
        f"{identity.username} is in none of the groups {', '.join(sorted(groups))}.",
        code="not_in_group",
        hint="Ask to be made a member of one of them.",
    )


def require_submitter(identity: Identity | None) -> Identity:
    """The identity of a user who may submit builds.

    :raises NotAuthenticated: nobody is logged in.
    :raises Forbidden: the user is in none of the groups that may.
    """
    identity = require_login(identity)
    options = settings.MBS
    if not (
        identity.trusted
        or identity.username in options.ALLOWED_USERS
        or not options.ALLOWED_GROUPS
        or identity.groups & options.ALLOWED_GROUPS
    ):
        raise _not_in(identity, options.ALLOWED_GROUPS)
    return identity


def acting_for(identity: Identity, body: Mapping[str, Any]) -> str:
    """In whose name a request acts: the key ``owner`` of its body, where that counts, else the user's.

    :raises InvalidInput: the key stands there and does not count.
    """
    owner = body.get("owner")
    if not owner:
        return identity.username
    if not identity.trusted:
        raise InvalidInput(
            "The key 'owner' is only for servers without logins.",
            code="owner_not_allowed",
            hint="Leave it away: the owner is who is logged in.",
        )
    return str(owner)
