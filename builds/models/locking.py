"""Row locks, and the order in which to take them.

Two transactions that lock the same rows in different orders deadlock, and the database aborts one of them. So
every transaction that locks several rows takes them in this order (it may skip kinds of rows):

1. rows of ``Lock`` (``hold``): ``recording`` before ``slots``;
2. module builds, by primary key;
3. component builds, by primary key;
4. waits, by primary key.

A statement that changes one row by its primary key and is committed by itself may run at any time. Writing a
row locks the rows that its foreign keys refer to, but only against a change of their keys. ``locked`` allows
that (``FOR NO KEY UPDATE``), so rows that refer to others may be written in any order.
"""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from builds.models.sweep import Lock

#: Lock for recording module builds, and for looking whether an N:S:V:C is free.
RECORDING = "recording"
M = TypeVar("M", bound=Model)


def locked(rows: QuerySet[M]) -> QuerySet[M]:
    """Return the same rows, which are locked in the order of their primary keys when they are read."""
    return rows.select_for_update(no_key=True, of=("self",)).order_by("pk")


def hold(name: str) -> None:
    """Wait for the lock of this name, and keep it until the present transaction ends."""
    if not locked(Lock.objects.filter(name=name)).first():
        Lock.objects.bulk_create([Lock(name=name)], ignore_conflicts=True)
        locked(Lock.objects.filter(name=name)).get()
