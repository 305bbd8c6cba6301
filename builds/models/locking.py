"""Locks on rows, and the order in which they are taken.

Two transactions that lock the same rows in different orders wait for each other for ever, until the database
ends one of them. So every transaction that locks several rows takes them in this order, and leaves out what
it does not need:

1. rows of ``Lock`` (``hold``): ``recording`` before ``slots``;
2. module builds, by number;
3. component builds, by number;
4. waits, by number.

Statements that change one row by its number and are committed alone lock nothing else, and may come at any
time. A foreign key locks the row that it refers to as well, but only against a change of its number:
``locked`` lets those pass (``FOR NO KEY UPDATE``), so rows that refer to others may be written in any order.
"""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from builds.models.sweep import Lock

#: lock of those that record module builds under names that are free, or look whether they are recorded
RECORDING = "recording"
M = TypeVar("M", bound=Model)


def locked(rows: QuerySet[M]) -> QuerySet[M]:
    """Return the same rows, to be locked in the order of their numbers when they are read."""
    return rows.select_for_update(no_key=True, of=("self",)).order_by("pk")


def hold(name: str) -> None:
    """Wait for a lock that one transaction has at a time, and keep it until the present transaction ends."""
    if not locked(Lock.objects.filter(name=name)).first():
        Lock.objects.bulk_create([Lock(name=name)], ignore_conflicts=True)
        locked(Lock.objects.filter(name=name)).get()
