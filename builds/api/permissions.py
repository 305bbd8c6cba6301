"""What users may do, and with which build."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings

from builds.models import ModuleBuild
from builds.services.identity import Identity, Scope
from mbs.errors import Forbidden, InvalidInput, NotAuthenticated


def require_login(identity: Identity | None, scope: Scope | None = None) -> Identity:
    """The identity of a user who is logged in.

    Args:
        scope: What the credentials must be good for.

    Raises:
        NotAuthenticated: Nobody is.
        Forbidden: The user shows a token for other things.
    """
    if identity is None:
        raise NotAuthenticated(
            "This needs credentials.", hint="Log in, or send a token that has not expired, and try again."
        )
    if scope is not None and not identity.allows(scope):
        raise Forbidden(
            f"The API token is not good for this: it lacks the scope {scope}.",
            code="scope_missing",
            hint=f"Make one with it: mbs token create --scope {scope} NAME.",
        )
    return identity


def require_person(identity: Identity | None) -> Identity:
    """The identity of a user who makes an API token.

    Raises:
        NotAuthenticated: Nobody is logged in.
        Forbidden: Logged in by another API token, which could so outlive itself; or there are no
            logins.
    """
    identity = require_login(identity)
    if identity.token_id is not None:
        raise Forbidden(
            "An API token cannot make another one.", code="made_by_token", hint="Log in otherwise."
        )
    if identity.trusted:
        raise Forbidden("Nobody needs an API token here: there are no logins.", code="no_logins")
    return identity


def require_submitter(identity: Identity | None) -> Identity:
    """The identity of a user who may submit builds.

    Raises:
        NotAuthenticated: Nobody is logged in.
        Forbidden: The user is in none of the groups that may, or shows a token for other things.
    """
    identity = require_login(identity, Scope.SUBMIT)
    _require_group(identity)
    return identity


def _require_group(identity: Identity) -> None:
    options = settings.MBS
    if not (
        identity.trusted
        or identity.username in options.ALLOWED_USERS
        or not options.ALLOWED_GROUPS
        or identity.groups & options.ALLOWED_GROUPS
    ):
        raise _not_in(identity, options.ALLOWED_GROUPS)


def require_importer(identity: Identity | None) -> Identity:
    """The identity of a user who may import modules.

    Raises:
        NotAuthenticated: Nobody is logged in.
        Forbidden: Nobody may, or the user is in none of the groups that may.
    """
    groups = settings.MBS.ALLOWED_GROUPS_TO_IMPORT_MODULE
    if not groups:
        raise Forbidden(
            "Importing modules over REST is switched off here.",
            code="import_not_allowed",
            hint="Operators import with the command mbs-manager import_module.",
        )
    identity = require_login(identity, Scope.IMPORT)
    if not identity.trusted and not identity.groups & groups:
        raise _not_in(identity, groups)
    return identity


def require_owner(identity: Identity, who: str, build: ModuleBuild) -> None:
    """Check that a user may change a build: its owner may, who may submit still, and admins.

    Args:
        who: In whose name the request acts.

    Raises:
        Forbidden: For others.
    """
    if identity.groups & settings.MBS.ADMIN_GROUPS and identity.allows(Scope.ADMIN):
        return
    _require_group(identity)
    if who == build.owner:
        return
    raise Forbidden(
        f"Module build {build.pk} belongs to {build.owner}, not to {who}.",
        code="not_owner",
        hint="Ask its owner or an admin; on a server without logins, name the owner in the key 'owner'.",
    )


def acting_for(identity: Identity, body: Mapping[str, Any]) -> str:
    """In whose name a request acts: the key ``owner`` of its body, where that counts, else the user's.

    Raises:
        InvalidInput: The key stands there and does not count.
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


def _not_in(identity: Identity, groups: Collection[str]) -> Forbidden:
    return Forbidden(
        f"{identity.username} is in none of the groups {', '.join(sorted(groups))}.",
        code="not_in_group",
        hint="Ask to be made a member of one of them.",
    )
