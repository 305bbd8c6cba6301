"""Outcomes of a step: done (None), parked, or obsolete."""

from __future__ import annotations

from dataclasses import dataclass


class Obsolete(Exception):
    """The step belongs to an older run, or the build is past it: its canvas does not continue."""


@dataclass(frozen=True)
class Park:
    """The step must wait, and runs again when its key is woken.

    Attributes:
        key: Key that wakes it.
        what: Text for people: the thing that it waits for.
        wakes_on: Text for people: the event that wakes it.
        component_id: Number of the component that waits, if it is one.
    """

    key: str
    what: str
    wakes_on: str
    component_id: int | None = None


Outcome = Park | None
