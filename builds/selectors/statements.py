"""Queries that Django translates into SQL once, and PostgreSQL plans once in each connection.

A statement that is asked all the time is prepared (``PREPARE``): parsing and planning take longer than
carrying out what most of them ask for. Only outside of transactions, which an error would end, and only as
long as it works: behind a pooler of connections the next statement may meet another server process, that
does not know the prepared one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connection
from django.db.models import QuerySet

Row = tuple[Any, ...]

#: how often a statement is asked in this process before it is worth keeping, and how many a connection keeps
ASKED_OFTEN, MOST_KEPT = 10, 100
#: there is no such statement; there is one of this name already; a migration has changed its columns
_LOST = {"26000", "42P05", "0A000"}
#: connection of psycopg2 -> names of what it keeps; None: nothing any more
_KEPT: WeakKeyDictionary[Any, set[str] | None] = WeakKeyDictionary()


class Statement:
    """A query that ends in ``values_list``, as SQL for the database that is in use.

    :param places: parameters of it that stand for values which are given when it is asked.
    """

    def __init__(self, queryset: QuerySet[Any, Any], places: Sequence[int | str] = ()) -> None:
        compiler = queryset.query.get_compiler(connection=connection)
        self._sql, params = compiler.as_sql()
        numbers = {stands_for: number for number, stands_for in enumerate(places)}
        self._params: list[tuple[int | None, Any]] = [(numbers.get(param), param) for param in params]
        self._name = f"mbs_{hashlib.sha256(repr((self._sql, params)).encode()).hexdigest()[:40]}"
        self._execute = f"EXECUTE {self._name}"
        if places:
            self._execute += f" ({', '.join(['%s'] * len(places))})"
        self._asked = 0
        # SQLite keeps times and truth values as text and numbers; both keep JSON as text.
        columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
        self._converters = compiler.get_converters(columns)
        self._convert = compiler.apply_converters

    def rows(self, values: Sequence[int | str] = ()) -> Iterable[Row]:
        """The rows for these values."""
        with connection.cursor() as cursor:
            if not self._asked_prepared(cursor, values):
                params = [param if place is None else values[place] for place, param in self._params]
                cursor.execute(self._sql, params)
            rows: list[Row] = cursor.fetchall()
        return map(tuple, self._convert(rows, self._converters)) if self._converters else rows

    def _asked_prepared(self, cursor: Any, values: Sequence[int | str]) -> bool:
        """Whether it was asked as a prepared statement."""
        self._asked += 1
        if self._asked < ASKED_OFTEN or connection.vendor != "postgresql" or connection.in_atomic_block:
            return False
        kept = _KEPT.setdefault(cursor.connection, set())
        if kept is None:
            return False
        try:
            if self._name not in kept:
                if len(kept) >= MOST_KEPT:
                    return False
                cursor.execute(self._prepare(cursor))
                kept.add(self._name)
            cursor.execute(self._execute, values)
        except DatabaseError as error:
            if getattr(error.__cause__, "pgcode", None) not in _LOST:
                raise
            _KEPT[cursor.connection] = None
            return False
        return True

    def _prepare(self, cursor: Any) -> str:
        places = (
            cursor.mogrify("%s", [param]).decode() if place is None else f"${place + 1}"
            for place, param in self._params
        )
        return f"PREPARE {self._name} AS {self._sql % tuple(places)}"
