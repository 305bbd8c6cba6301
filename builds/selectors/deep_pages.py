"""Pages deep inside long lists, found without skipping all rows before them.

A database finds the row at an offset by skipping all rows before it. Here rows are skipped in an index only,
and from the nearest known position: either end of the list, or a row whose position was found in the last
``LIFETIME`` seconds. A client that pages through a list finds each page next to the one before.

If rows before a remembered position leave or enter the list, the position is wrong by their number until it
expires. New rows of a list ordered by id come last, and change no positions.
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

#: Seconds for which a position is remembered.
LIFETIME = 60.0
#: Rows that are skipped without looking for a remembered position.
MAX_SKIPPED = 20_000
#: Lists that a process remembers, and positions of each.
MAX_LISTS, MAX_POSITIONS = 64, 256

Key = tuple[Any, ...]


class Positions:
    """Remembered positions of rows in lists, counted from the lowest id."""

    def __init__(self) -> None:
        self._lists: OrderedDict[Key, dict[int, tuple[int, float]]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, key: Key, number: int, row_id: int) -> None:
        """Remember that the row with this id has the position ``number`` in a list."""
        with self._lock:
            places = self._lists.setdefault(key, {})
            self._lists.move_to_end(key)
            places[number] = row_id, time.monotonic()
            if len(places) > MAX_POSITIONS:
                del places[next(iter(places))]
            if len(self._lists) > MAX_LISTS:
                self._lists.popitem(last=False)

    def nearest(self, key: Key, number: int) -> list[tuple[int, int]]:
        """Return the nearest remembered positions on both sides, as pairs of position and id."""
        oldest = time.monotonic() - LIFETIME
        with self._lock:
            known = {n: i for n, (i, at) in self._lists.get(key, {}).items() if at > oldest}
        numbers = sorted(known)
        middle = bisect(numbers, number)
        return [(n, known[n]) for n in numbers[max(0, middle - 1) : middle + 1]]


POSITIONS = Positions()


def rows_at(queryset: QuerySet[Any, Any], offset: int, count: int, total: int) -> Sequence[Any]:
    """Return ``queryset[offset:offset + count]``, for ``0 < offset`` and ``offset + count <= total``.

    Args:
        queryset: An ordered ``values_list`` whose first column is the id, by which ties are ordered.
        offset: Rows to skip.
        count: Rows to return.
        total: Number of rows of the queryset.
    """
    rest = total - offset - count
    query = queryset.query
    if query.order_by in (("id",), ("-id",)) and query.standard_ordering and min(offset, rest) > MAX_SKIPPED:
        return _in_order_of_ids(queryset, offset if query.order_by == ("id",) else rest, count, total)
    ids = queryset.values("pk")
    ids = ids.reverse()[rest : rest + count] if rest < offset else ids[offset : offset + count]
    return list(queryset.filter(pk__in=ids))


def _in_order_of_ids(queryset: QuerySet[Any, Any], first: int, count: int, total: int) -> Sequence[Any]:
    """Return ``count`` rows from position ``first`` on, counted from the lowest id."""
    ids = queryset.order_by("id").values("pk")
    key: Key = (queryset.model, *ids.query.sql_with_params())
    # (rows to skip, ids to skip in): upwards from a position before the page, or downwards from one after it.
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
