"""An optional part of the interface of build systems: servers can be asked whether they answer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class AnswersPings(Protocol):
    """A build system on another machine, which can be asked whether it answers."""

    def ping(self) -> None:
        """Make a call that succeeds if the build system answers and accepts the login of this service.

        Raises:
            BuildSystemUnavailable: It is not reachable.
            BuildSystemError: It refuses.
        """
