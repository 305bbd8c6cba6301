"""What a hub double is told to do wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from koji.xmlrpcplus import Fault


@dataclass
class Faults:
    """Every field may be changed at any moment.

    :param delay: seconds before each answer.
    :param offline: answers ServerOffline, as while it is being upgraded.
    :param status: HTTP status of all answers instead of 200, e.g. 503.
    :param lose_messages: nothing comes on the bus.
    :param drop: of the requests to come, what becomes of the connection: ``before`` anything is done,
        ``after`` all was done and committed, ``half`` way through the answer, or ``""``: nothing.
    :param refuse: method -> faults that its next calls are answered with.
    :param old: the hub is too old for ``repo.request``.
    :param repo_fails: the next regenerations that fail.
    :param tag_fails: the next tagging tasks that fail.
    :param breaks: of the builds to come, how they fail: the fault of the task, and the logs (name -> text) of
        the subtask that it comes from.
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
