"""Identities of users and the scopes of their credentials."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ANONYMOUS = "anonymous"


class Scope(StrEnum):
    """Scopes of API tokens. A login has all scopes."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    IMPORT = "import"
    ADMIN = "admin"


@dataclass(frozen=True)
class Identity:
    """An authenticated user.

    Attributes:
        username: Name of the user.
        groups: Names of the user's groups.
        trusted: Whether the user may do everything, also in the name of other users.
        operator: Whether the user may change every build, as its owner and admins may.
        scopes: Scopes of the credentials; None: all.
        token_id: Number of the API token that was used; None after a login.
        is_authenticated: Always True, for Django.
    """

    username: str
    groups: frozenset[str] = frozenset()
    trusted: bool = False
    operator: bool = False
    scopes: frozenset[str] | None = None
    token_id: int | None = None
    is_authenticated: bool = True

    def __str__(self) -> str:
        return self.username

    def allows(self, scope: Scope) -> bool:
        """Return whether the credentials have this scope."""
        return self.scopes is None or scope in self.scopes
