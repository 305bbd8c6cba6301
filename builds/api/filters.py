"""How lists are filtered and ordered, for all kinds of builds (docs/contract/rest.md, "Lists")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django_filters import Filter, FilterSet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from builds.api.json_input import read_json
from builds.api.parameters import FLAGS
from mbs.errors import InvalidInput, Problem

LARGEST = 2**63 - 1
_LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[+-]00(?::?00)?)?", re.ASCII)


class FlagField(forms.CharField):
    """true, false, 1 or 0."""

    def clean(self, value: Any) -> bool | None:
        text = super().clean(value).lower()
        if text and text not in FLAGS:
            raise forms.ValidationError("Write true, false, 1 or 0.")
        return FLAGS.get(text)


class TimeField(forms.CharField):
    """A time in UTC, as answers have it: to the second."""

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        match = _TIME.fullmatch(text)
        if text and not match:
            raise forms.ValidationError("Write a time like 2024-01-31T12:00:00Z.")
        try:
            return datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None
        except ValueError:
            raise forms.ValidationError("There is no such time.") from None


class JSONField(forms.CharField):
    """A JSON list."""

    def clean(self, value: Any) -> list[Any] | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            found = read_json(text, "The value")
        except InvalidInput as error:
            raise forms.ValidationError(f'Write a JSON list, such as ["a"]. {error.message}') from error
        if not isinstance(found, list):
            raise forms.ValidationError('Write a JSON list, such as ["a"].')
        return found


class ManyInput(forms.TextInput):
    """Takes a value that may stand there several times; shows the first."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return [value for value in data.getlist(name) if value]

    def format_value(self, value: Any) -> str | None:
        return value[0] if value else None


class ManyField(forms.Field):
    """A value that may stand there several times: one of them must fit."""

    widget = ManyInput

    def clean(self, value: Any) -> list[Any]:
        return [self.one(item) for item in value or ()]

    def one(self, text: str) -> Any:
        """One of the values."""
        return text


class WholeFilter(Filter):
    """A whole number that a column can hold."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"min_value": 0, "max_value": LARGEST, **kwargs})


class FloatFilter(Filter):
    field_class = forms.FloatField


class FlagFilter(Filter):
    field_class = FlagField


class JSONFilter(Filter):
    field_class = JSONField

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs if value is None else qs.filter(**{self.field_name: value})


class AfterFilter(Filter):
    """From a time on; the second itself counts."""

    field_class = TimeField

    def __init__(self, field_name: str, **kwargs: Any) -> None:
        super().__init__(field_name, "gte", **kwargs)


class BeforeFilter(Filter):
    """Up to a time; the second itself counts, to its end."""

    field_class = TimeField

    def __init__(self, field_name: str, **kwargs: Any) -> None:
        super().__init__(field_name, "lt", **kwargs)

    def filter(self, qs: QuerySet[Any], value: datetime | None) -> QuerySet[Any]:
        if value and value == _LAST_SECOND:
            # Every time is before the end of the last second that there is, but an empty column is none.
            return qs.exclude(**{self.field_name: None})
        return super().filter(qs, value and value + timedelta(seconds=1))


class ManyFilter(Filter):
    """One of several values."""

    field_class = ManyField

    def __init__(self, field_name: str, **kwargs: Any) -> None:
        super().__init__(field_name, "in", **kwargs)


class BuildFilterSet(FilterSet):
    """Of the declared filters, a request pays only for those that it names.

    Args:
        complete: Have all of them, for a form that people fill in.
    """

    def __init__(
        self, data: Any, queryset: QuerySet[Any], *, request: Request, complete: bool = False
    ) -> None:
        if not complete:
            self.base_filters = {
                name: each for name, each in self.base_filters.items() if name in request.query_params
            }
        super().__init__(data, queryset, request=request)

    @classmethod
    def names(cls) -> Iterable[str]:
        """Return the names of all filters."""
        return cls.base_filters.keys()

    @classmethod
    def repeatable(cls) -> set[str]:
        """Return the names of the filters that take several values."""
        return {name for name, each in cls.base_filters.items() if isinstance(each, ManyFilter)}


class FilterBackend(DjangoFilterBackend):
    """Filters by the FilterSet of the view; what is wrong is answered as any error of the API."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        if request.query_params.keys().isdisjoint(view.filterset_class.names()):
            return queryset
        filterset = self.get_filterset(request, queryset, view)
        if not filterset.is_valid():
            raise _invalid_filters(filterset.errors)
        return filterset.qs


class OrderBackend(BaseFilterBackend):
    """Orders by the columns that a request names; ids decide between equals, so that pages do not overlap.

    The view's ``order_columns`` says by which fields or expressions a column is ordered.
    """

    parameters = ("order_by", "order_desc_by")
    descriptions = (
        "Columns to order by, upwards, the most important first. Not together with order_desc_by.",
        "Columns to order by, downwards, the most important first. Not together with order_by.",
    )

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        upwards, downwards = (request.query_params.getlist(name) for name in self.parameters)
        if upwards and downwards:
            raise InvalidInput(
                "The parameters 'order_by' and 'order_desc_by' exclude each other.", code="two_orders"
            )
        columns: Mapping[str, tuple[Any, ...]] = view.order_columns
        order: list[Any] = []
        for column in [*upwards, *downwards]:
            if column not in columns:
                raise InvalidInput(
                    f"The parameter {self.parameters[not upwards]!r} names no column: {column[:60]!r}.",
                    code="unknown_column",
                    hint=f"Columns are {', '.join(sorted(columns))}.",
                )
            order += columns[column]
        order.append("id")
        return queryset.order_by(*(order if upwards else map(_downwards, order)))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """For the OpenAPI document."""
        return [
            {
                "name": name,
                "in": "query",
                "description": text,
                "schema": {"type": "array", "items": {"enum": [*view.order_columns, ""]}},
            }
            for name, text in zip(self.parameters, self.descriptions, strict=True)
        ]


def _downwards(column: Any) -> Any:
    return f"-{column}" if isinstance(column, str) else column.desc()


def _invalid_filters(faults: Mapping[str, Iterable[str]]) -> InvalidInput:
    problems = [
        Problem(
            "invalid_parameter",
            f"The value of the parameter {name!r} is not valid.",
            key=name,
            hint=" ".join(texts),
        )
        for name, texts in faults.items()
    ]
    return InvalidInput(
        " ".join(problem.message for problem in problems),
        code="invalid_parameter",
        hint=" ".join(problem.hint for problem in problems),
        problems=problems,
    )
