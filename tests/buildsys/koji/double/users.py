"""Callers of a hub double: users, permissions and sessions."""

from __future__ import annotations

from dataclasses import dataclass, field

import koji


@dataclass
class Caller:
    """The user of a session; an anonymous one has the id 0."""

    id: int = 0
    name: str = ""
    password: str = ""
    permissions: set[str] = field(default_factory=set)

    def needs_login(self) -> None:
        if not self.id:
            raise koji.ActionNotAllowed("you must be logged in for this operation")

    def needs(self, permission: str) -> None:
        """Check a permission; an admin has all."""
        self.needs_login()
        if not self.permissions & {permission, "admin"}:
            raise koji.ActionNotAllowed(f"{permission} permission required (logged in as {self.name})")


@dataclass
class Session:
    """A session. A call with a repeated number cannot be answered."""

    user: Caller
    key: str
    last_call: int = -1
    expired: bool = False
