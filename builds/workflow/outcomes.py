"""What a step may say besides "done"."""

from __future__ import annotations

from dataclasses import dataclass


class Obsolete(Exception):
    """The step belongs to an older run, or the build has gone on already: its canvas ends here."""


@dataclass(frozen=True)
class Park:
    """The step must wait: it will be run again when ``key`` is woken.

    :param what: what it waits for, and ``wakes_on``, what will wake it; for people.
    """

    key: str
    what: str
    wakes_on: str
    component_id: int | None = None


Outcome = Park | None
