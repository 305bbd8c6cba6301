"""Queries that are asked all the time, translated into SQL once.

Django builds the SQL of a query anew each time, which for small answers takes longer than the database
does. What differs between two calls is only the ids that are looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.sql.compiler import SQLCompiler

Row = tuple[Any, ...]

#: stands for the first id, one below it for the second, and so on; no id and no other parameter is so small
_FIRST = -(10**12)


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
        compiler, sql, params = self._compiled(connection.vendor, len(ids))
        values = [
            ids[_FIRST - param] if type(param) is int and param <= _FIRST else param for param in params
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            rows = cursor.fetchall()
        # The converters are Django's own: SQLite keeps times and truth values as text and numbers.
        return compiler.results_iter([rows], tuple_expected=True)

    def _compile(self, vendor: str, count: int) -> tuple[SQLCompiler, str, Sequence[Any]]:
        query = self.query([_FIRST - place for place in range(count)]).query
        compiler = query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        return compiler, sql, params
