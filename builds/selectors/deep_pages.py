"""Pages deep inside long lists, without counting up to them each time.

A database finds the row at an offset by passing all rows before it. Here that is done on an index alone,
from the nearer end of the list, and from a row whose place was found lately where one is nearer still:
who walks through a list finds each page beside the one before it.

A remembered place is wrong by as many rows as left or entered the list below it since; it is forgotten
after ``LIFETIME``. New rows of a list in the order of ids come behind all others and change no place.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect
from collections import OrderedDict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from django.db.models import QuerySet

#: seconds for which a place is remembered
LIFETIME = 60.0
#: rows that are passed gladly, before it pays to look for a remembered place
MAX_SKIPPED = 20_000
#: lists, and places of each, that a process remembers
MAX_LISTS, MAX_POSITIONS = 64, 256

Key = tuple[Any, ...]


class Positions:
    """Numbers of rows and the ids that stand there, counted from the lowest id of a list."""

    def __init__(self) -> None:
        self._lists: OrderedDict[Key, dict[int, tuple[int, float]]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, key: Key, number: int, row_id: int) -> None:
        """The row of this id is the list's ``number``-th."""
        with self._lock:
            places = self._lists.setdefault(key, {})
            self._lists.move_to_end(key)
            places[number] = row_id, time.monotonic()
            if len(places) > MAX_POSITIONS:
                del places[next(iter(places))]
            if len(self._lists) > MAX_LISTS:
                self._lists.popitem(last=False)

    def nearest(self, key: Key, number: int) -> list[tuple[int, int]]:
        """The nearest remembered places on either side, as (number, id)."""
        oldest = time.monotonic() - LIFETIME
        with self._lock:
            known = {n: i for n, (i, at) in self._lists.get(key, {}).items() if at > oldest}
        numbers = sorted(known)
        middle = bisect(numbers, number)
        return [(n, known[n]) for n in numbers[max(0, middle - 1) : middle + 1]]


POSITIONS = Positions()


def rows_at(queryset: QuerySet[Any, Any], offset: int, count: int, total: int) -> Sequence[Any]:
    """``queryset[offset:offset + count]``, with ``0 < offset`` and ``offset + count <= total``.

    :param queryset: a ``values_list`` that begins with the id, ordered; ids decide between equals.
    :param total: how many rows it has.
    """
    rest = total - offset - count
    query = queryset.query
    if query.order_by in (("id",), ("-id",)) and query.standard_ordering and min(offset, rest) > MAX_SKIPPED:
        return _in_order_of_ids(queryset, offset if query.order_by == ("id",) else rest, count, total)
    ids = queryset.values("pk")
    ids = ids.reverse()[rest : rest + count] if rest < offset else ids[offset : offset + count]
    return list(queryset.filter(pk__in=ids))


def _in_order_of_ids(queryset: QuerySet[Any, Any], first: int, count: int, total: int) -> Sequence[Any]:
    """The rows from number ``first`` on, counted from the lowest id."""
    ids = queryset.order_by("id").values("pk")
    key: Key = (queryset.model, *ids.query.sql_with_params())
    # Upwards from a place at or below the page, or downwards from one above it; the ends are such places.
    ways = [(first, ids), (total - first - count, ids.reverse())]
    for number, row_id in POSITIONS.nearest(key, first):
        if number <= first:
            ways.append((first - number, ids.filter(pk__gte=row_id)))
        elif number >= first + count:
            ways.append((number - first - count, ids.filter(pk__lt=row_id).reverse()))
    skipped, start = min(ways, key=itemgetter(0))
    rows = list(queryset.filter(pk__in=start[skipped : skipped + count]))
    if rows:
        POSITIONS.remember(key, first, min(row[0] for row in rows))
    return rows
