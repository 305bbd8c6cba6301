from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ANONYMOUS = "anonymous"


class Scope(StrEnum):
    """What an API token may be used for; a login may be used for everything."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    IMPORT = "import"
    ADMIN = "admin"


@dataclass(frozen=True)
class Identity:
    """A user, as the service knows them.

    :param trusted: may do everything, and says themselves for whom they act.
    :param scopes: what these credentials may be used for; None: everything.
    :param token_id: of the API token that was shown; None after a login.
    """

    username: str
    groups: frozenset[str] = frozenset()
    trusted: bool = False
    scopes: frozenset[str] | None = None
    token_id: int | None = None
    is_authenticated: bool = True

    def __str__(self) -> str:
        return self.username

    def allows(self, scope: Scope) -> bool:
        """Whether these credentials may be used for such a thing."""
        return self.scopes is None or scope in self.scopes
