"""Reading the logs of builds, piece by piece: the same for every build system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mbs.errors import NotFound

#: Bytes that one call of ``read_log`` returns at most.
MOST_BYTES = 1 << 20


class NoSuchLog(NotFound):
    """There is no such log: it was never written, or it has been deleted."""

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
        name: identifies it among the logs of its submission.
        label: its name for people.
    """

    name: str
    label: str


@dataclass(frozen=True)
class LogPart:
    """Consecutive bytes of a log.

    Attributes:
        start: offset of the first byte.
        data: the bytes, as the build wrote them.
        size: number of bytes that the log has so far.
        complete: nothing will be appended to the log.
    """

    start: int
    data: bytes
    size: int
    complete: bool


@runtime_checkable
class ReadsLogs(Protocol):
    """A build system whose logs can be read through this service."""

    def logs(self, task_id: int) -> Sequence[LogFile]:
        """Return the logs of a submission, the one that says most first.

        Args:
            task_id: number of the submission.

        Returns:
            Nothing where no log has been written yet, or none is left.
        """

    def read_log(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        """Read a part of a log.

        Args:
            task_id: number of the submission.
            name: of one of its logs.
            start: offset of the first byte.
            stop: offset behind the last byte; at most ``MOST_BYTES`` bytes are returned whatever it is.

        Returns:
            The bytes that there are; none behind the end of the log.

        Raises:
            NoSuchLog: the submission has no such log.
            BuildSystemUnavailable: the build system does not answer.
        """


def clipped(start: int, stop: int) -> tuple[int, int]:
    """Return offset and number of the bytes to read for a call of ``read_log``."""
    start = max(0, start)
    return start, max(0, min(stop - start, MOST_BYTES))
