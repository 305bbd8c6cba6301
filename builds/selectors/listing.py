"""Lists of rows that are shown page by page."""

from __future__ import annotations

import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from django.db.models import Count, QuerySet, Value

from builds.encoding import RawJSON
from builds.models import ComponentBuild, ModuleBuild
from builds.selectors import deep_pages
from builds.selectors.compiled import CompiledQuery, Row

#: Page sizes of a list whose first page is kept compiled.
MAX_SIZES = 8
#: Seconds for which the number of rows is kept.
RECENT = 1.0


class Record:
    """Some columns of a row of a model, by their names in the model; the first is ``id``."""

    __slots__ = ()
    id: int

    @property
    def pk(self) -> int:
        """Return the id, under the name that models use."""
        return self.id

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


#: Lists read records of some columns, whose JSON columns are unparsed; single builds may be model instances.
ModuleRow = ModuleBuild | Record
ComponentRow = ComponentBuild | Record


@cache
def records(columns: tuple[str, ...]) -> Callable[[Row], Record]:
    """Return the function that makes a record of a row with these columns."""
    kind = type("Record", (Record, namedtuple("Columns", columns)), {"__slots__": ()})
    return kind._make  # type: ignore[attr-defined, no-any-return]  # mypy ignores the namedtuple


class Listing:
    """A list whose rows are shown as records of some columns.

    Args:
        queryset: The rows, ordered.
        columns: Names of columns; the first is ``id``. JSON columns become ``RawJSON``, for responses only.

    Attributes:
        unfiltered: Whether the list has all rows of a table.
    """

    def __init__(self, queryset: QuerySet[Any, Any], columns: Sequence[str]) -> None:
        self.queryset = queryset.values_list(*columns)
        self.unfiltered = not (queryset.query.where or queryset.query.distinct)
        self._record = records(tuple(columns))
        self._newest_first = queryset.query.order_by == ("-id",)
        #: When the rows were counted, the id of the newest row then, and their number.
        self._counted = (0.0, 0, 0)
        self._first = lru_cache(maxsize=MAX_SIZES)(
            lambda count: CompiledQuery(self.queryset[:count], read_json=RawJSON)
        )

    def first(self, count: int) -> list[Record]:
        """Return the first ``count`` rows."""
        return self._records(self._first(count)())

    def page(self, offset: int, count: int, total: int) -> list[Record]:
        """Return ``count`` rows from ``offset`` on, of ``total``."""
        if not offset:
            return self.first(count)
        return self._records(deep_pages.rows_at(self.queryset, offset, count, total))

    def count(self) -> int:
        """Return how many rows there are."""
        if not self.unfiltered:
            return self.queryset.order_by().count()
        ((total,),) = self._total()
        return int(total)

    def count_after(self, first: Record) -> int:
        """Return how many rows an unfiltered list has that begins with this row.

        Counting all rows takes longer than reading a page, so the number is kept for a second as long as the
        newest row is the same. It may be wrong for that second if rows are deleted, or if a transaction that
        began before that of the newest row ends after it.
        """
        counted_at, newest, total = self._counted
        if not self._newest_first or newest != first.id or time.monotonic() - counted_at > RECENT:
            counted_at, total = time.monotonic(), self.count()
            self._counted = counted_at, first.id, total
        return total

    @cached_property
    def _total(self) -> CompiledQuery:
        """The query for the number of all rows. It has one row, since SQL does not group by a constant."""
        rows = self.queryset.order_by().annotate(one=Value(1)).values("one")
        return CompiledQuery(rows.annotate(total=Count("*")).values_list("total"))

    def _records(self, rows: Iterable[Row]) -> list[Record]:
        return list(map(self._record, rows))
