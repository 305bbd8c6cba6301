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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connection
from django.db.models import Field, ForeignObject, JSONField, Lookup, QuerySet

from builds.encoding import decode, encode

Row = Sequence[Any]

#: how often a statement is asked in this process before it is prepared
ASKED_OFTEN = 10
#: statements that a connection keeps, those that were asked last, and seconds after which one is planned anew
MOST_KEPT, PLAN_LIFETIME = 50, 30.0
#: there is no such statement; there is one of this name; a migration changed its columns; a type is unclear;
#: there is no such setting, or it may not be set
_NOT_KEPT = {"26000", "42P05", "0A000", "42P18", "42704", "42501"}
#: a plan that suits any list is as good as one for this very list, which would have to be made anew
_ANY_PLAN = "SET plan_cache_mode = force_generic_plan"
#: connection of psycopg2 -> name of what it keeps -> when that was prepared; None: it keeps nothing any more
_KEPT: WeakKeyDictionary[Any, OrderedDict[str, float] | None] = WeakKeyDictionary()


@dataclass(frozen=True)
class Given:
    """Stands in a query for a list of values that is given when it is asked.

    :param number: which of the lists, from 0.
    """

    number: int = 0


@Field.register_lookup
@ForeignObject.register_lookup
class Among(Lookup):
    """``column__among=Given()``: one of the values. However many there are, the statement is the same."""

    lookup_name = "among"

    def get_prep_lookup(self) -> Given:
        if not isinstance(self.rhs, Given):
            raise TypeError(
                "'among' takes Given(), which stands for a list; for a list itself there is 'in'."
            )
        return self.rhs

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, self.rhs]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM json_each(%s))", [*params, self.rhs]


def _as_parameter(values: Sequence[int | str]) -> str:
    """A list as ``Among`` takes it: text, which databases read faster than many parameters."""
    if connection.vendor != "postgresql":
        return encode(values).decode()
    return f"{{{','.join(map(_as_element, values))}}}"


def _as_element(value: int | str) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _is_json(column: Any) -> bool:
    field = column.output_field
    return isinstance(field, JSONField) and field.decoder is None


class Statement:
    """A query that ends in ``values_list``, as SQL for the database that is in use.

    :param read_json: makes values of the text of JSON columns; Django's own way is slower.
    """

    def __init__(self, queryset: QuerySet[Any, Any], read_json: Callable[[str], Any] = decode) -> None:
        compiler = queryset.query.get_compiler(connection=connection)
        self._sql, params = compiler.as_sql()
        self._params: Sequence[Any] = params
        self._name = f"mbs_{hashlib.sha256(repr((self._sql, params)).encode()).hexdigest()[:40]}"
        self._execute = f"EXECUTE {self._name}"
        lists = len({param for param in params if isinstance(param, Given)})
        if lists:
            self._execute += f" ({', '.join(['%s'] * lists)})"
        self._asked = 0

        def read(value: str | None, *_: Any) -> Any:
            return None if value is None else read_json(value)

        # SQLite keeps times and truth values as text and numbers; both keep JSON as text.
        columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
        self._converters = {
            place: ([read], column) if _is_json(column) else (converters, column)
            for place, (converters, column) in compiler.get_converters(columns).items()
        }
        self._convert = compiler.apply_converters

    def rows(self, *lists: Sequence[int | str]) -> Iterable[Row]:
        """The rows for these lists of values."""
        given = [*map(_as_parameter, lists)]
        with connection.cursor() as cursor:
            if not self._asked_prepared(cursor, given):
                params = [
                    given[param.number] if isinstance(param, Given) else param for param in self._params
                ]
                cursor.execute(self._sql, params)
            rows: list[Row] = cursor.fetchall()
        return self._convert(rows, self._converters) if self._converters else rows

    def _asked_prepared(self, cursor: Any, given: Sequence[str]) -> bool:
        """Whether it was asked as a prepared statement."""
        self._asked += 1
        if self._asked < ASKED_OFTEN or connection.vendor != "postgresql" or connection.in_atomic_block:
            return False
        new = cursor.connection not in _KEPT
        kept = _KEPT.setdefault(cursor.connection, OrderedDict())
        if kept is None:
            return False
        try:
            if new:
                cursor.execute(_ANY_PLAN)
            self._keep(cursor, kept)
            cursor.execute(self._execute, given)
        except DatabaseError as error:
            if getattr(error.__cause__, "pgcode", None) not in _NOT_KEPT:
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
            f"${param.number + 1}" if isinstance(param, Given) else cursor.mogrify("%s", [param]).decode()
            for param in self._params
        )
        return f"PREPARE {self._name} AS {self._sql % tuple(places)}"
