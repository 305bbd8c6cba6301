"""Queries that are asked all the time, translated into SQL once.

Django builds the SQL of a query anew each time, and makes an object with all the abilities of a model of
every row, which together take longer than the database does for a page of a list.
"""

from __future__ import annotations

import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

from builds.encoding import RawJSON, decode
from builds.selectors import deep_pages
from builds.selectors.statements import Given, Row, Statement

M = TypeVar("M", bound=Model)

#: sizes of a list's first page of which the SQL is kept
MOST_SIZES = 8
#: seconds for which the number of rows of a table is kept while its newest row stays the same: what is
#: deleted, or was begun before that row and committed after it, is noticed that much later
COUNT_KEPT = 1.0


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


class ByValues:
    """A query for the rows that belong to some values.

    :param queryset: it ends in ``values_list``; what is ``Given`` in it stands for the values.
    :param read_json: makes values of the text of JSON columns.
    """

    def __init__(self, queryset: QuerySet[Any, Any], read_json: Callable[[str], Any] = decode) -> None:
        # One process uses one database; only tests would ask another.
        self._statement = cache(lambda vendor: Statement(queryset, read_json))

    def __call__(self, *lists: Sequence[int | str]) -> Iterable[Row]:
        """The rows for these lists, as ``values_list`` gives them."""
        return self._statement(connection.vendor).rows(*lists) if lists[0] else ()


class Instances(Generic[M]):
    """Objects of a model, found by the values of some columns.

    :param columns: what they are found by; its objects are those with one of the values in each.
    :param parent: a foreign key, never null, whose object is read with each.
    """

    def __init__(self, model: type[M], *columns: str, parent: str = "") -> None:
        self._model = model
        self._parent = parent
        self._own = [field.attname for field in model._meta.concrete_fields]
        names = list(self._own)
        if parent:
            self._parent_model: type[Model] = model._meta.get_field(parent).related_model
            self._of_parent = [field.attname for field in self._parent_model._meta.concrete_fields]
            names += [f"{parent}__{name}" for name in self._of_parent]
        fields = [model._meta.get_field(column) for column in columns] or [model._meta.pk]
        found_by = {f"{field.name}__among": Given(number) for number, field in enumerate(fields)}
        self._rows = ByValues(model._default_manager.filter(**found_by).order_by("pk").values_list(*names))

    def __call__(self, *lists: Sequence[int | str]) -> list[M]:
        """The objects, in the order of their keys."""
        return [self._made(row) for row in self._rows(*lists)]

    def _made(self, row: Row) -> M:
        own = len(self._own)
        instance = self._model.from_db(connection.alias, self._own, row[:own])
        if self._parent:
            parent = self._parent_model.from_db(connection.alias, self._of_parent, row[own:])
            setattr(instance, self._parent, parent)
        return instance


class _Counted(NamedTuple):
    """The number of rows while the newest of them is the same, until a moment (monotonic)."""

    newest: int
    until: float
    number: int


class Listing:
    """A list whose rows are shown as Records of some columns.

    :param queryset: what is in it, in its order.
    :param columns: names of columns; the first is ``id``. Values of JSON columns are only good to be shown.
    :ivar whole: it has no filters, and is kept to be asked again and again.
    """

    def __init__(self, queryset: QuerySet[Any, Any], columns: Sequence[str]) -> None:
        self.queryset = queryset.values_list(*columns)
        self.columns = columns
        query = queryset.query
        self.whole = not (query.where or query.distinct)
        self._newest_first = query.order_by == ("-id",) and query.standard_ordering
        self._counted: _Counted | None = None
        self._first = lru_cache(maxsize=MOST_SIZES)(self._translate)

    def first(self, count: int) -> list[Record]:
        """Its first ``count`` rows."""
        return self._records(self._first(connection.vendor, count).rows())

    def _translate(self, vendor: str, count: int) -> Statement:
        return Statement(self.queryset[:count], read_json=RawJSON)

    def page(self, offset: int, count: int, total: int) -> list[Record]:
        """``count`` rows from ``offset`` on, of ``total``."""
        return (
            self._records(deep_pages.rows_at(self.queryset, offset, count, total))
            if offset
            else self.first(count)
        )

    def count(self, first: Sequence[Record] = ()) -> int:
        """How many rows it has.

        :param first: rows that it begins with, just read. Where they begin with the newest of a whole table,
            the number is kept for ``COUNT_KEPT`` seconds while that stays the same, unless they are all.
        """
        if not (first and self.whole and self._newest_first):
            return max(self._count(), len(first))
        kept, newest, now = self._counted, first[0].id, time.monotonic()
        if kept is None or kept.newest != newest or kept.until < now or kept.number <= len(first):
            kept = self._counted = _Counted(newest, now + COUNT_KEPT, max(self._count(), len(first)))
        return kept.number

    def _count(self) -> int:
        if not self.whole:
            return self.queryset.order_by().count()
        table = connection.ops.quote_name(self.queryset.model._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
            return int(cursor.fetchone()[0])

    def _records(self, rows: Iterable[Row]) -> list[Record]:
        return list(map(records(tuple(self.columns)), rows))
