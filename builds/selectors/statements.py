"""Queries that Django translates into SQL once, and PostgreSQL plans once in each connection.

A statement that is asked all the time is prepared (``PREPARE``): parsing and planning take longer than
carrying out what most of them ask for. Only outside of transactions, which an error would end, and only as
long as it works: behind a pooler of connections the next statement may meet another server process, that
does not know the prepared one. And only for a while: a plan is as old as the statistics that it was made of.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from django.db import DatabaseError, connection
from django.db.models import JSONField, QuerySet

Row = tuple[Any, ...]

#: how often a statement is asked in this process before it is prepared
ASKED_OFTEN = 10
#: statements that a connection keeps, those that were asked last, and seconds after which one is planned anew
MOST_KEPT, PLAN_LIFETIME = 50, 30.0
#: there is no such statement; there is one of this name; a migration changed its columns; a type is unclear
_LOST = {"26000", "42P05", "0A000", "42P18"}
#: connection of psycopg2 -> name of what it keeps -> when that was prepared; None: it keeps nothing any more
_KEPT: WeakKeyDictionary[Any, OrderedDict[str, float] | None] = WeakKeyDictionary()


def _is_json(column: Any) -> bool:
    field = column.output_field
    return isinstance(field, JSONField) and field.decoder is None


def _parsed(value: str | None, *_: Any) -> Any:
    """What Django's field does with the standard library, which is slower."""
    return None if value is None else orjson.loads(value)


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
        self._converters = {
            place: ([_parsed], column) if _is_json(column) else (converters, column)
            for place, (converters, column) in compiler.get_converters(columns).items()
        }
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
        kept = _KEPT.setdefault(cursor.connection, OrderedDict())
        if kept is None:
            return False
        try:
            self._keep(cursor, kept)
            cursor.execute(self._execute, values)
        except DatabaseError as error:
            if getattr(error.__cause__, "pgcode", None) not in _LOST:
                raise
            _KEPT[cursor.connection] = None
            return False
        return True

    def _keep(self, cursor: Any, kept: OrderedDict[str, float]) -> None:
        """Have the connection know this statement, by a plan that is not too old."""
        now = time.monotonic()
        prepared_at = kept.get(self._name)
        if prepared_at is not None and prepared_at + PLAN_LIFETIME > now:
            kept.move_to_end(self._name)
            return
        given_up = (
            self._name if prepared_at is not None else next(iter(kept)) if len(kept) >= MOST_KEPT else None
        )
        if given_up:
            del kept[given_up]
            cursor.execute(f"DEALLOCATE {given_up}")
        cursor.execute(self._prepare(cursor))
        kept[self._name] = now

    def _prepare(self, cursor: Any) -> str:
        places = (
            cursor.mogrify("%s", [param]).decode() if place is None else f"${place + 1}"
            for place, param in self._params
        )
        return f"PREPARE {self._name} AS {self._sql % tuple(places)}"
