"""Check what users may do, and with which builds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings

from builds.models import ModuleBuild
from builds.services.auth import Identity, Scope
from mbs.errors import Forbidden, InvalidInput, NotAuthenticated


def require_login(identity: Identity | None, scope: Scope | None = None) -> Identity:
    """Return the identity of a user who is logged in.

    Args:
        scope: The scope that an API token must have.

    Raises:
        NotAuthenticated: The request has no credentials.
        Forbidden: The API token lacks the scope.
    """
    if identity is None:
        raise NotAuthenticated(
            "This request needs credentials.",
            hint="Log in, or send a token that has not expired, and try again.",
        )
    if scope is not None and not identity.allows(scope):
        raise Forbidden(
            f"The API token lacks the scope {scope}.",
            code="scope_missing",
            hint=f"Create a token that has it: mbs token create --scope {scope} NAME.",
        )
    return identity


def require_person(identity: Identity | None) -> Identity:
    """Return the identity of a user who may create an API token.

    Raises:
        NotAuthenticated: The request has no credentials.
        Forbidden: The credentials are an API token, which could outlive itself this way, or the service runs
            without logins.
    """
    identity = require_login(identity)
    if identity.token_id is not None:
        raise Forbidden(
            "An API token cannot create another one.",
            code="made_by_token",
            hint="Log in with your account instead.",
        )
    if identity.trusted:
        raise Forbidden(
            "This service runs without logins.", code="no_logins", hint="Send requests without an API token."
        )
    return identity


def require_submitter(identity: Identity | None) -> Identity:
    """Return the identity of a user who may submit builds.

    Raises:
        NotAuthenticated: The request has no credentials.
        Forbidden: The user is in none of the allowed groups, or the API token lacks the scope.
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
    """Return the identity of a user who may import modules.

    Raises:
        NotAuthenticated: The request has no credentials.
        Forbidden: The user is in none of the allowed groups, or no group is allowed.
    """
    groups = settings.MBS.ALLOWED_GROUPS_TO_IMPORT_MODULE
    if not groups:
        raise Forbidden(
            "Importing modules over REST is switched off on this service.",
            code="import_not_allowed",
            hint="Ask an operator to import it: mbs-manager import_module FILE.",
        )
    identity = require_login(identity, Scope.IMPORT)
    if not identity.trusted and not identity.groups & groups:
        raise _not_in(identity, groups)
    return identity


def require_owner(identity: Identity, who: str, build: ModuleBuild) -> None:
    """Check that a user may change a build: admins may, and its owner if still allowed to submit.

    Args:
        who: The user in whose name the request acts.

    Raises:
        Forbidden: The user may not change the build.
    """
    if _is_admin(identity):
        return
    _require_group(identity)
    if who == build.owner:
        return
    raise Forbidden(
        f"Module build {build.pk} belongs to {build.owner}, not to {who}.",
        code="not_owner",
        hint="Ask its owner or an admin; on a server without logins, name the owner in the key 'owner'.",
    )


def require_admin(identity: Identity | None) -> Identity:
    """Return the identity of a user who may retire builds.

    Raises:
        NotAuthenticated: The request has no user.
        Forbidden: The user is neither an operator nor in one of ``ADMIN_GROUPS``.
    """
    identity = require_login(identity, Scope.ADMIN)
    if not is_admin(identity):
        raise _not_in(identity, settings.MBS.ADMIN_GROUPS)
    return identity


def is_admin(identity: Identity) -> bool:
    """Return whether a user is an operator or in one of ``ADMIN_GROUPS``; without logins, every user is."""
    return identity.trusted or _is_admin(identity)


def _is_admin(identity: Identity) -> bool:
    in_group = bool(identity.groups & settings.MBS.ADMIN_GROUPS)
    return identity.operator or (in_group and identity.allows(Scope.ADMIN))


def acting_for(identity: Identity, body: Mapping[str, Any]) -> str:
    """Return the user in whose name a request acts.

    On a server without logins, the key ``owner`` of the body names that user.

    Raises:
        InvalidInput: The key is given on a server with logins.
    """
    owner = body.get("owner")
    if not owner:
        return identity.username
    if not identity.trusted:
        raise InvalidInput(
            "The key 'owner' is only allowed on servers without logins.",
            code="owner_not_allowed",
            hint="Leave it out: the user who is logged in becomes the owner.",
        )
    return str(owner)


def _not_in(identity: Identity, groups: Collection[str]) -> Forbidden:
    return Forbidden(
        f"{identity.username} is in none of the groups {', '.join(sorted(groups)) or 'that may do this'}.",
        code="not_in_group",
        hint="Ask for membership in one of them.",
    )
