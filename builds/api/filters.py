"""Filter and order lists, for all kinds of builds (docs/contract/rest.md, "Lists")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django_filters import Filter, FilterSet
from drf_spectacular.drainage import get_override
from drf_spectacular.utils import extend_schema_field
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from builds.api.json_input import read_json
from builds.api.parameters import FLAGS
from mbs.errors import InvalidInput, Problem

MAX_ID = 2**63 - 1
_LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC)
#: A text parameter, in JSON Schema. An empty value counts as absent; blanks alone and NUL are refused.
TEXT = {"type": "string", "pattern": "^[^\\u0000]*$"}
EMPTY = {"type": "string", "maxLength": 0}
_TIME_PATTERN = r"^$|^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]00(:?00)?)?$"
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[+-]00(?::?00)?)?", re.ASCII)


class FlagField(forms.CharField):
    """A form field for true, false, 1 or 0."""

    def clean(self, value: Any) -> bool | None:
        """Return the truth value, or None for an empty text."""
        text = super().clean(value).lower()
        if text and text not in FLAGS:
            raise forms.ValidationError("Write true, false, 1 or 0.")
        return FLAGS.get(text)


class TimeField(forms.CharField):
    """A form field for a time in UTC. Fractions of a second are cut off, as in answers."""

    def clean(self, value: Any) -> datetime | None:
        """Return the time, or None for an empty text."""
        text = super().clean(value)
        match = _TIME.fullmatch(text)
        if text and not match:
            raise forms.ValidationError("Write a time like 2024-01-31T12:00:00Z.")
        try:
            return datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None
        except ValueError:
            raise forms.ValidationError("This date or time does not exist.") from None


class JSONField(forms.CharField):
    """A form field for a JSON list."""

    def clean(self, value: Any) -> list[Any] | None:
        """Return the list, or None for an empty text."""
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


class AnyOfInput(forms.TextInput):
    """A text input for a parameter that may be repeated. It shows the first value."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        """Return the values that are not empty."""
        return [value for value in data.getlist(name) if value]

    def format_value(self, value: Any) -> str | None:
        """Return the first value."""
        return value[0] if value else None


class AnyOfField(forms.Field):
    """A form field for a parameter that may be repeated: a row matches if it has any of the values."""

    widget: type[forms.Widget] | forms.Widget = AnyOfInput

    def clean(self, value: Any) -> list[Any]:
        """Return all values, each converted by ``one``."""
        return [self.one(item) for item in value or ()]

    def one(self, text: str) -> Any:
        """Convert one value."""
        return text


@extend_schema_field({"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_ID}, EMPTY]})
class IntegerFilter(Filter):
    """Filter by a whole number that fits into a column."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"min_value": 0, "max_value": MAX_ID, **kwargs})


@extend_schema_field({"anyOf": [{"type": "number"}, EMPTY]})
class FloatFilter(Filter):
    """Filter by a number."""

    field_class = forms.FloatField


@extend_schema_field({"type": "string", "enum": [*FLAGS, ""]})
class FlagFilter(Filter):
    """Filter by a truth value."""

    field_class = FlagField


@extend_schema_field({"type": "string", "description": "A JSON list"})
class JSONFilter(Filter):
    """Filter by a JSON list."""

    field_class = JSONField

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        """Return rows whose list equals the value; None means no filter, and an empty list is a value."""
        return qs if value is None else qs.filter(**{self.field_name: value})


@extend_schema_field({"type": "string", "pattern": _TIME_PATTERN})
class AfterFilter(Filter):
    """Filter for times at or after a second."""

    field_class = TimeField

    def __init__(self, field_name: str, **kwargs: Any) -> None:
        super().__init__(field_name, "gte", **kwargs)


@extend_schema_field({"type": "string", "pattern": _TIME_PATTERN})
class BeforeFilter(Filter):
    """Filter for times before a second or within it."""

    field_class = TimeField

    def __init__(self, field_name: str, **kwargs: Any) -> None:
        super().__init__(field_name, "lt", **kwargs)

    def filter(self, qs: QuerySet[Any], value: datetime | None) -> QuerySet[Any]:
        """Filter for times before the next second."""
        if value and value == _LAST_SECOND:
            # There is no next second: every time matches, but NULL does not.
            return qs.exclude(**{self.field_name: None})
        rows: QuerySet[Any] = super().filter(qs, value and value + timedelta(seconds=1))
        return rows


@extend_schema_field({"type": "array", "items": TEXT})
class AnyOfFilter(Filter):
    """Filter for any of several values."""

    field_class = AnyOfField

    def __init__(self, field_name: str, **kwargs: Any) -> None:
        super().__init__(field_name, "in", **kwargs)


class BuildFilterSet(FilterSet):
    """A filter set that builds only the filters that the request names, since building all of them is slow.

    Args:
        complete: Build all filters, for the form of the page.
    """

    base_filters: Mapping[str, Filter]

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
        return {name for name, each in cls.base_filters.items() if isinstance(each, AnyOfFilter)}


class FilterBackend(BaseFilterBackend):
    """Filter by the view's FilterSet, and report invalid values as errors of the API."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Return the filtered rows.

        Raises:
            InvalidInput: Values are not valid. There is a problem for each parameter.
        """
        if request.query_params.keys().isdisjoint(view.filterset_class.names()):
            return queryset
        filterset = view.filterset_class(request.query_params, queryset, request=request)
        if not filterset.is_valid():
            raise _invalid_filters(filterset.errors)
        rows: QuerySet[Any] = filterset.qs
        return rows

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters for the OpenAPI document."""
        return [
            {
                "name": name,
                "in": "query",
                "description": each.extra["help_text"],
                "schema": get_override(each, "field", TEXT),
            }
            for name, each in view.filterset_class.base_filters.items()
        ]


class OrderBackend(BaseFilterBackend):
    """Order by the columns that a request names. The id breaks ties, so that pages do not overlap.

    ``order_columns`` of the view maps the name of a column to fields or expressions.
    """

    parameters = ("order_by", "order_desc_by")
    descriptions = (
        "Columns to order by, ascending, the most significant first. Not together with order_desc_by.",
        "Columns to order by, descending, the most significant first. Not together with order_by.",
    )

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Return the ordered rows.

        Raises:
            InvalidInput: A column does not exist, or both ``order_by`` and ``order_desc_by`` are given.
        """
        ascending, descending = (request.query_params.getlist(name) for name in self.parameters)
        if ascending and descending:
            raise InvalidInput(
                "The parameters 'order_by' and 'order_desc_by' cannot be used together.", code="two_orders"
            )
        columns: Mapping[str, tuple[Any, ...]] = view.order_columns
        order: list[Any] = []
        for column in [*ascending, *descending]:
            if column not in columns:
                raise InvalidInput(
                    f"The parameter {self.parameters[not ascending]!r} names no column: {column[:60]!r}.",
                    code="unknown_column",
                    hint=f"Columns are {', '.join(sorted(columns))}.",
                )
            order += columns[column]
        order.append("id")
        return queryset.order_by(*(order if ascending else map(_descend, order)))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters for the OpenAPI document."""
        return [
            {
                "name": name,
                "in": "query",
                "description": text,
                "schema": {"type": "array", "items": {"enum": [*view.order_columns, ""]}},
            }
            for name, text in zip(self.parameters, self.descriptions, strict=True)
        ]


def _descend(column: Any) -> Any:
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
