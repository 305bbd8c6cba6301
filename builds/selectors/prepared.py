"""Queries that are asked all the time, translated into SQL once.

Django builds the SQL of a query anew each time, and makes an object with all the abilities of a model of
every row, which together take longer than the database does for a page of a list.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

from builds.selectors import deep

Row = tuple[Any, ...]
M = TypeVar("M", bound=Model)

#: stands for the first id, one below it for the second, and so on; no id and no other parameter is so small
_FIRST = -(10**12)


class Record:
    """Some columns of a row of a model, by the names that the model gives them; ``id`` is the first."""

    __slots__ = ()
    id: int

    @property
    def pk(self) -> int:
        return self.id

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


@cache
def records(columns: tuple[str, ...]) -> Callable[[Row], Record]:
    """Makes records of rows that have these columns."""
    kind = type("Record", (Record, namedtuple("Columns", columns)), {"__slots__": ()})
    return kind._make  # type: ignore[attr-defined, no-any-return]


class Compiled:
    """A query that ends in ``values_list``, as SQL for the database that is in use."""

    def __init__(self, queryset: QuerySet[Any, Any]) -> None:
        compiler = queryset.query.get_compiler(connection=connection)
        self.sql, self.params = compiler.as_sql()
        # SQLite keeps times and truth values as text and numbers; both keep JSON as text.
        columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
        self._converters = compiler.get_converters(columns)
        self._convert = compiler.apply_converters

    def rows(self, params: Sequence[Any]) -> Iterable[Row]:
        """The rows for these parameters in place of ``params``."""
        with connection.cursor() as cursor:
            cursor.execute(self.sql, params)
            rows: list[Row] = cursor.fetchall()
        return map(tuple, self._convert(rows, self._converters)) if self._converters else rows


class ByIds:
    """A query for the rows that belong to some ids.

    :param query: makes the query for a list of ids; it ends in ``values_list``.
    """

    def __init__(self, query: Callable[[Sequence[int]], QuerySet[Any, Any]]) -> None:
        self.query = query
        self._compiled = lru_cache(maxsize=256)(self._compile)

    def __call__(self, ids: Sequence[int]) -> Iterable[Row]:
        """The rows for these ids, as ``values_list`` gives them."""
        if not ids:
            return ()
        compiled = self._compiled(connection.vendor, len(ids))
        return compiled.rows(
            [ids[_FIRST - each] if type(each) is int and each <= _FIRST else each for each in compiled.params]
        )

    def _compile(self, vendor: str, count: int) -> Compiled:
        return Compiled(self.query([_FIRST - place for place in range(count)]))


class Instances(Generic[M]):
    """Objects of a model by their ids."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self._columns = [field.attname for field in model._meta.concrete_fields]
        self._rows = ByIds(lambda ids: model._default_manager.filter(pk__in=ids).values_list(*self._columns))

    def __call__(self, ids: Sequence[int]) -> list[M]:
        return [self._model.from_db(connection.alias, self._columns, row) for row in self._rows(ids)]


class Listing:
    """A list whose rows are shown as Records of some columns.

    One without filters is kept and asked again and again (``kept``).

    :param queryset: what is in it, in its order.
    :param columns: names of columns; the first is ``id``.
    """

    def __init__(self, queryset: QuerySet[Any, Any], columns: Sequence[str]) -> None:
        self.queryset = queryset.values_list(*columns)
        self.columns = columns
        self._pages: dict[tuple[str, int], Compiled] = {}

    def count(self) -> int:
        """How many rows it has."""
        query = self.queryset.query
        if query.where or query.distinct:
            return self.queryset.order_by().count()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(query.get_meta().db_table)}")
            return int(cursor.fetchone()[0])

    def page(self, offset: int, count: int, total: int) -> list[Record]:
        """``count`` rows from ``offset`` on, of ``total``."""
        if offset:
            return self._records(deep.rows_at(self.queryset, offset, count, total))
        key = connection.vendor, count
        if key not in self._pages:
            self._pages[key] = Compiled(self.queryset[:count])
        return self._records(self._pages[key].rows(self._pages[key].params))

    def _records(self, rows: Iterable[Row]) -> list[Record]:
        return list(map(records(tuple(self.columns)), rows))
