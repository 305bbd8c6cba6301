"""What a hub double is told to do wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from koji.xmlrpcplus import Fault


@dataclass
class Faults:
    """Every field may be changed at any moment.

    Attributes:
        delay: Seconds before each answer.
        offline: Answers ServerOffline, as while it is being upgraded.
        status: HTTP status of all answers instead of 200, e.g. 503.
        lose_messages: Nothing comes on the bus.
        drop: Of the requests to come, what becomes of the connection: ``before`` anything is done,
            ``after`` all was done and committed, ``half`` way through the answer, or ``""``:
            nothing.
        refuse: Method -> faults that its next calls are answered with.
        old: The hub is too old for ``repo.request``.
        repo_fails: The next regenerations that fail.
        tag_fails: The next tagging tasks that fail.
        breaks: Of the builds to come, how they fail: the fault of the task, and the logs (name ->
            text) of the subtask that it comes from.
    """

    delay: float = 0
    offline: bool = False
    status: int = 200
    lose_messages: bool = False
    drop: list[str] = field(default_factory=list)
    refuse: dict[str, list[Fault]] = field(default_factory=dict)
    old: bool = False
    repo_fails: int = 0
    tag_fails: int = 0
    breaks: list[tuple[Exception, dict[str, str]]] = field(default_factory=list)
    #: called with (method, args) before each call, inside a multicall too; it may raise or change the faults
    watch: Callable[[str, tuple[object, ...]], None] | None = None
