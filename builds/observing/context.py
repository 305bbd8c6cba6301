"""What is being worked on, for whoever writes a line to the log meanwhile.

Keys in use: ``request_id``, ``build`` (number of a module build), ``nsvc``, ``task`` and ``task_id`` (of
Celery).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, object] = MappingProxyType({})
_facts: ContextVar[Mapping[str, object]] = ContextVar("mbs_facts", default=_NOTHING)

Mark = Token[Mapping[str, object]]


def current() -> Mapping[str, object]:
    """What is known now of the work of this thread or coroutine."""
    return _facts.get()


def note(**facts: object) -> Mark:
    """Add facts until ``forget`` is called with the answer; what is empty or None is left out."""
    return _facts.set({**_facts.get(), **{name: fact for name, fact in facts.items() if fact}})


def begin(**facts: object) -> None:
    """Work that has nothing to do with what this thread did before begins."""
    _facts.set(facts)


def forget(mark: Mark) -> None:
    """Undo a ``note``, and those after it."""
    _facts.reset(mark)


@contextmanager
def about(**facts: object) -> Iterator[None]:
    """Work within which these facts hold as well."""
    mark = note(**facts)
    try:
        yield
    finally:
        forget(mark)


def of(build: Any) -> dict[str, object]:
    """The facts about a row of ``ModuleBuild``."""
    return {"build": build.pk, "nsvc": build.nsvc}
