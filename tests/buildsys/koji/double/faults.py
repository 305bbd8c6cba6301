"""Faults of a hub double."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from koji.xmlrpcplus import Fault


@dataclass
class Faults:
    """Faults, each of which may be changed at any time.

    Attributes:
        delay: Seconds before each answer.
        offline: Answer ServerOffline, as during an upgrade.
        status: HTTP status of all answers instead of 200, for example 503.
        lose_messages: Publish no messages.
        drop: How to break the connections of the next requests: ``before`` the call, ``after`` it was
            committed, ``half`` way through the answer, or ``""`` for not at all.
        refuse: Method -> faults of its next calls.
        old: The hub is too old for ``repo.request``.
        repo_fails: Number of next regenerations that fail.
        tag_fails: Number of next tagging tasks that fail.
        breaks: Failures of the next builds: the fault of the task, and the logs (name -> text) of its
            subtask.
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
    #: Called with (method, args) before each call, including those in multicalls; it may raise or change
    #: faults.
    watch: Callable[[str, tuple[object, ...]], None] | None = None
