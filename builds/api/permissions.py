"""What users may do with which build."""

from __future__ import annotations

from django.conf import settings

from builds.api.authentication import Identity
from builds.models import ModuleBuild
from mbs.errors import Forbidden


def require_owner(identity: Identity, who: str, build: ModuleBuild) -> None:
    """Check that a user may change a build: its owner may, and admins.

    :param who: in whose name the request acts.
    :raises Forbidden: for others.
    """
    if who == build.owner or identity.groups & settings.MBS.ADMIN_GROUPS:
        return
    raise Forbidden(
        f"Module build {build.pk} belongs to {build.owner}, not to {who}.",
        code="not_owner",
        hint="Ask its owner or an admin; on a server without logins, name the owner in the key 'owner'.",
    )
