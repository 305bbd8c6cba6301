"""An optional part of the interface of build systems: servers can be asked whether they answer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class AnswersPings(Protocol):
    """A build system on another machine."""

    def ping(self) -> None:
        """Return if the build system answers, and accepts the login of this service.

        Raises:
            BuildSystemUnavailable: It is not reachable.
            BuildSystemError: It refuses.
        """
