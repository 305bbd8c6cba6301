"""Define how logs of builds are read in parts, for all build systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mbs.errors import NotFound

#: Max bytes that one call of ``read_log`` returns.
MAX_BYTES = 1 << 20


class NoSuchLog(NotFound):
    """The log does not exist: it was never written, or it was deleted."""

    code = "no_such_log"

    @classmethod
    def of(cls, task_id: int, name: str) -> NoSuchLog:
        """Return the error for a log of a submission."""
        return cls(
            f"The build system has no log {name[:100]!r} of the build {task_id}.",
            hint="It may not have been written yet, or may have been deleted.",
        )


@dataclass(frozen=True)
class LogFile:
    """A log of a submission.

    Attributes:
        name: Identifies the log among the logs of its submission.
        label: Name to show.
    """

    name: str
    label: str


@dataclass(frozen=True)
class LogPart:
    """Consecutive bytes of a log.

    Attributes:
        start: Offset of the first byte.
        data: The bytes, as the build wrote them.
        size: Current size of the log in bytes.
        complete: Whether nothing will be appended to the log.
    """

    start: int
    data: bytes
    size: int
    complete: bool


@runtime_checkable
class ReadsLogs(Protocol):
    """A build system whose logs can be read through this service."""

    def logs(self, task_id: int) -> Sequence[LogFile]:
        """Return the logs of a submission, the most informative first.

        Args:
            task_id: Number of the submission.

        Returns:
            The logs; an empty list if none has been written yet, or all were deleted.
        """

    def read_log(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        """Read a part of a log.

        Args:
            task_id: Number of the submission.
            name: Name of the log.
            start: Offset of the first byte.
            stop: Offset after the last byte; at most ``MAX_BYTES`` bytes are returned.

        Returns:
            The existing bytes in that range; none after the end of the log.

        Raises:
            NoSuchLog: The submission has no such log.
            BuildSystemUnavailable: The build system does not answer.
        """


def clipped(start: int, stop: int) -> tuple[int, int]:
    """Return offset and length of a read from ``start`` to ``stop``, limited to ``MAX_BYTES``."""
    start = max(0, start)
    return start, max(0, min(stop - start, MAX_BYTES))
