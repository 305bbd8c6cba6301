"""The context of log lines: fields about the present work, which every line of the log includes.

Fields in use: ``request_id``, ``build`` (number of a module build), ``nsvc``, ``task`` and ``task_id`` (of
Celery). The context belongs to the current thread or coroutine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any

from django.apps import apps
from django.db import Error

from mbs.nsvc import NSVC, PARTS

_NOTHING: Mapping[str, object] = MappingProxyType({})
_facts: ContextVar[Mapping[str, object]] = ContextVar("mbs_facts", default=_NOTHING)

#: Number of a module build -> its N:S:V:C, which never changes.
_names: dict[int, str] = {}
_MAX_NAMES = 1000

Mark = Token[Mapping[str, object]]


def current() -> Mapping[str, object]:
    """Return the fields that are added to log lines now."""
    return _facts.get()


def bind(**facts: object) -> Mark:
    """Add fields, except those that are empty or None, until ``unbind`` is called with the result."""
    return _facts.set({**_facts.get(), **{name: fact for name, fact in facts.items() if fact}})


def restart(**facts: object) -> None:
    """Replace all fields, at the beginning of work that is unrelated to earlier work of this thread."""
    _facts.set(facts)


def unbind(mark: Mark) -> None:
    """Undo a ``bind``, and those after it."""
    _facts.reset(mark)


@contextmanager
def bound(**facts: object) -> Iterator[None]:
    """Add fields within a ``with`` block."""
    mark = bind(**facts)
    try:
        yield
    finally:
        unbind(mark)


def of_build(build: Any) -> dict[str, object]:
    """Return the fields about a row of ``ModuleBuild``."""
    return {"build": build.pk, "nsvc": str(build.nsvc)}


def of_build_id(build_id: int) -> dict[str, object]:
    """Return the fields about a module build, whose N:S:V:C is queried once per process."""
    if build_id not in _names:
        rows = apps.get_model("builds", "ModuleBuild").objects.filter(pk=build_id)
        try:
            found = rows.values_list(*PARTS).first()
        except Error:  # the caller works on the build, and handles the outage of the database itself
            found = None
        if found is None:
            return {"build": build_id}
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names[build_id] = str(NSVC(*found))
    return {"build": build_id, "nsvc": _names[build_id]}
