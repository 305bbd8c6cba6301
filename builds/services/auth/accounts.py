"""Users who are logged in with an account of this service."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model

from builds.services.auth.identity import Identity

#: The permission of accounts that may operate builds in the admin.
OPERATE = "builds.change_modulebuild"


def exists(username: str) -> bool:
    """Return whether there is an account with this name."""
    return get_user_model().objects.filter(username=username).exists()


def identity(user: Any) -> Identity:
    """Return the identity of an account: its groups are those of Django, by name.

    Args:
        user: An active user of ``django.contrib.auth``.
    """
    return Identity(
        user.get_username(),
        groups=frozenset(user.groups.values_list("name", flat=True)),
        trusted=settings.MBS.NO_AUTH,
        operator=user.has_perm(OPERATE),
    )
