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

from django.apps import apps
from django.db import Error

_NOTHING: Mapping[str, object] = MappingProxyType({})
_facts: ContextVar[Mapping[str, object]] = ContextVar("mbs_facts", default=_NOTHING)

#: number -> NSVC, which never changes; more than one process has builds in hand
_names: dict[int, str] = {}
_MAX_NAMES = 1000

Mark = Token[Mapping[str, object]]


def current() -> Mapping[str, object]:
    """What is known now of the work of this thread or coroutine."""
    return _facts.get()


def bind(**facts: object) -> Mark:
    """Add facts until ``forget`` is called with the answer; what is empty or None is left out."""
    return _facts.set({**_facts.get(), **{name: fact for name, fact in facts.items() if fact}})


def restart(**facts: object) -> None:
    """Work that has nothing to do with what this thread did before begins."""
    _facts.set(facts)


def unbind(mark: Mark) -> None:
    """Undo a ``note``, and those after it."""
    _facts.reset(mark)


@contextmanager
def bound(**facts: object) -> Iterator[None]:
    """Work within which these facts hold as well."""
    mark = bind(**facts)
    try:
        yield
    finally:
        unbind(mark)


def of_build(build: Any) -> dict[str, object]:
    """The facts about a row of ``ModuleBuild``."""
    return {"build": build.pk, "nsvc": build.nsvc}


def of_build_id(build_id: int) -> dict[str, object]:
    """The facts about a module build that is known by its number; its name is asked for once per process."""
    if build_id not in _names:
        rows = apps.get_model("builds", "ModuleBuild").objects.filter(pk=build_id)
        try:
            found = rows.values_list("name", "stream", "version", "context").first()
        except Error:  # whoever works on the build is about to find the database away, and handles it
            found = None
        if found is None:
            return {"build": build_id}
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names[build_id] = ":".join(found)
    return {"build": build_id, "nsvc": _names[build_id]}
