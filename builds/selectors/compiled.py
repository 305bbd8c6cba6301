"""Queries that Django compiles into SQL once per process.

For a page of a list, Django needs longer to compile the query than the database needs to run it. So the SQL
is kept, and the values to select by are passed each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Field, ForeignObject, JSONField, Lookup, QuerySet

from builds.encoding import decode, encode

Row = Sequence[Any]


@dataclass(frozen=True)
class Given:
    """Placeholder for a list of values that is passed when the query is run.

    Attributes:
        number: Position of the list among the arguments of the call, from 0.
    """

    number: int = 0


@Field.register_lookup
@ForeignObject.register_lookup
class Among(Lookup):
    """Lookup ``column__among=Given()``: like ``in``, but one parameter contains all values."""

    lookup_name = "among"

    def get_prep_lookup(self) -> Given:
        """Return the placeholder, the only accepted operand."""
        if not isinstance(self.rhs, Given):
            raise TypeError("The lookup 'among' takes Given(); use 'in' for a list of values.")
        return self.rhs

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Compare with the elements of an array."""
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, self.rhs]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Compare with the elements of a JSON list."""
        column, params = self.process_lhs(compiler, connection)
        sql = f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608  (Django compiled the column)
        return sql, [*params, self.rhs]


class CompiledQuery:
    """A query that Django compiles to SQL once per process.

    Args:
        queryset: A ``values_list``; each ``Given`` in it is replaced by a list of values.
        read_json: Converts the text of JSON columns.
    """

    def __init__(self, queryset: QuerySet[Any, Any], read_json: Callable[[str], Any] = decode) -> None:
        # Compiled on first use, since modules define queries before the database is configured.
        self._statement = cache(lambda vendor: _Statement(queryset, read_json))

    def __call__(self, *lists: Sequence[int | str]) -> Iterable[Row]:
        """Return the rows for these lists of values; none, without a query, if the first list is empty."""
        if lists and not lists[0]:
            return ()
        return self._statement(connection.vendor).rows(lists)


class _Statement:
    def __init__(self, queryset: QuerySet[Any, Any], read_json: Callable[[str], Any]) -> None:
        compiler = queryset.query.get_compiler(connection=connection)
        self._sql, self._params = compiler.as_sql()

        def read(value: str | None, *_: Any) -> Any:
            return None if value is None else read_json(value)

        columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
        self._converters = {
            place: ([read], column) if _is_json(column) else (converters, column)
            for place, (converters, column) in compiler.get_converters(columns).items()
        }
        self._convert = compiler.apply_converters

    def rows(self, lists: Sequence[Sequence[int | str]]) -> Iterable[Row]:
        given = [_parameter(values) for values in lists]
        params = [given[param.number] if isinstance(param, Given) else param for param in self._params]
        with connection.cursor() as cursor:
            cursor.execute(self._sql, params)
            rows: list[Row] = cursor.fetchall()
        return self._convert(rows, self._converters) if self._converters else rows


def _parameter(values: Sequence[int | str]) -> Any:
    """Return a list as parameter of ``Among``: an array for PostgreSQL, JSON for SQLite."""
    return list(values) if connection.vendor == "postgresql" else encode(values).decode()


def _is_json(column: Any) -> bool:
    field = column.output_field
    return isinstance(field, JSONField) and field.decoder is None
