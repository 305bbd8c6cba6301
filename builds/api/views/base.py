"""What all views of the API have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from builds import encoding, representations
from builds.api import pagination, parameters
from builds.api.authentication import SAFE
from builds.api.errors import LengthRequired, body_too_large
from builds.api.filters import BuildFilterSet, FilterBackend, OrderBackend
from builds.api.parameters import Shape
from builds.api.renderers import is_page
from builds.api.serializers import LogMessageSerializer, StrictSerializer
from builds.selectors.prepared import ByValues, Listing, records
from builds.selectors.statements import Given
from mbs.errors import Forbidden, InvalidInput, NotFound

#: an id in an address; a longer one is none, and no column could hold it
NUMBER = "[0-9]{1,18}"
#: lists without filters that are kept: three shapes of each, in some orders
MOST_LISTINGS = 100
_LISTINGS: dict[tuple[Any, ...], Listing] = {}


class ApiViewSet(GenericViewSet):
    """Checks that concern every request, and headers of every answer."""

    #: Names of query parameters that this request sent and that mean nothing here.
    unknown: Sequence[str] = ()

    def known_parameters(self) -> set[str]:
        """Return the names of the query parameters that mean something in this request."""
        return set()

    def repeatable_parameters(self) -> set[str]:
        """Return the names of the query parameters that may have several values."""
        return set()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        parameters.check_encoding(request)
        sent = request.query_params
        request._request.GET = parameters.given(sent, self.repeatable_parameters())
        if request.method not in SAFE:
            _check_origin(request)
            _check_length(request)
            return
        known = {parameters.STRICT, *self.known_parameters()}
        self.unknown = sorted(sent.keys() - known)
        if self.strict(request):
            parameters.check_known(self.unknown, known)

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer a browser that follows a link to something that only takes POST with the page of its form.

        Raises:
            MethodNotAllowed: Programs get 405.
        """
        if request.method == "GET" and "POST" in self.allowed_methods and is_page(request):
            return Response(self.form_subject(**kwargs))
        return super().http_method_not_allowed(request, *args, **kwargs)

    def form_subject(self, **kwargs: Any) -> Any:
        """Return what the page of a form shows beside it."""
        return None

    def strict(self, request: Request) -> bool:
        """Return whether unknown parameters are refused: as asked for, and always for a person at a page."""
        return parameters.flag(request, parameters.STRICT) or is_page(request)

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().finalize_response(request, response, *args, **kwargs)
        if request.method in SAFE:
            response["Access-Control-Allow-Origin"] = "*"
            if self.unknown:
                response["Warning"] = parameters.warning(self.unknown)
        return response


class BuildViewSet(ApiViewSet):
    """A list and the single items of it, in the shape that the request asks for.

    Args:
        noun: Of one item, in messages.
        columns: Shape -> columns that it shows, the first of them ``id``.
        by_id: Shape -> the query for these columns of single rows.
        order_columns: Column that a request names -> what to order by.
        input_serializers: Action -> the form of the body that it takes.
    """

    filter_backends = (FilterBackend, OrderBackend)
    filterset_class: type[BuildFilterSet]
    columns: Mapping[Shape, Sequence[str]] = {}
    by_id: Mapping[Shape, ByValues] = {}
    order_columns: Mapping[str, tuple[Any, ...]] = {}
    input_serializers: Mapping[str, type[StrictSerializer]] = {}

    pagination_class: type[pagination.Pages] = pagination.Pages
    lookup_value_regex = NUMBER
    noun = ""

    def known_parameters(self) -> set[str]:
        match self.action:
            case "list":
                paging = {*pagination.PARAMETERS, *OrderBackend.parameters}
                return {*parameters.SHAPES, *paging, *self.filterset_class.names()}
            case "messages":
                return {*pagination.PARAMETERS}
            case "retrieve":
                return {*parameters.SHAPES}
        return set()

    def repeatable_parameters(self) -> set[str]:
        return (
            {*OrderBackend.parameters, *self.filterset_class.repeatable()} if self.action == "list" else set()
        )

    def list(self, request: Request, **kwargs: Any) -> Response:
        """One page of the list."""
        if "id" in request.query_params:
            number = request.query_params["id"]
            where = f"{request.path.rstrip('/')}/{number}" if number.isdigit() else "the address of the item"
            raise InvalidInput(
                "The parameter 'id' does not filter a list.",
                code="id_is_no_filter",
                hint=f"Did you mean to go to {where[:200]}?",
            )
        shape = parameters.shape(request)
        page = self.paginate_queryset(self.listing(shape))
        return self.get_paginated_response(self.represent(page, shape))

    def listing(self, shape: Shape) -> Listing:
        """The list that the request asks for. One without filters is the same for everybody, and kept."""
        query = self.request.query_params
        if not query.keys().isdisjoint(self.filterset_class.names()):
            return Listing(self.filter_queryset(self.queryset), self.columns[shape])
        order = tuple(tuple(query.getlist(name)) for name in OrderBackend.parameters)
        key = type(self), shape, order
        listing = _LISTINGS.get(key)
        if listing is None:
            if len(_LISTINGS) > MOST_LISTINGS:
                _LISTINGS.clear()
            listing = _LISTINGS[key] = Listing(self.filter_queryset(self.queryset), self.columns[shape])
        return listing

    def retrieve(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """One item."""
        shape = parameters.shape(request)
        rows = list(map(records(tuple(self.columns[shape])), self.by_id[shape]([int(pk)])))
        if not rows:
            raise self.not_found(pk)
        return Response(self.represent(rows, shape)[0])

    def form_subject(self, pk: str = "", **kwargs: Any) -> Any:
        """Return the item that the form is about."""
        return self.represent([self.row(pk)], Shape.SHORT)[0] if pk else None

    def row(self, pk: str) -> Any:
        """The row of this number, with everything that it can do.

        Raises:
            NotFound: When there is none.
        """
        row = self.queryset.filter(pk=int(pk)).first()
        if row is None:
            raise self.not_found(pk)
        return row

    def not_found(self, pk: str) -> NotFound:
        """The error of a number that no row has."""
        return NotFound(f"There is no {self.noun} {pk}.", code=f"no_such_{self.noun.replace(' ', '_')}")

    @action(
        detail=True,
        methods=["get"],
        pagination_class=pagination.Messages,
        serializer_class=LogMessageSerializer,
    )
    def messages(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Log messages of a build, newest first."""
        messages = self.row(pk).log_messages.order_by("-id")
        page = self.paginate_queryset(Listing(messages, representations.LOG_COLUMNS))
        return self.get_paginated_response(self.represent(page, Shape.DEFAULT))

    def get_serializer_class(self) -> type[Any]:
        return self.input_serializers.get(self.action, self.serializer_class)

    def read(self) -> dict[str, Any]:
        """The values in the body of the request.

        Raises:
            InvalidInput: With a problem for each key that is wrong.
        """
        return self.get_serializer(data=self.request.data).read()

    def represent(self, rows: Any, shape: Shape) -> Any:
        """Rows as they are answered."""
        return self.serializer_class.page(rows, shape, self.request)


def by_id(queryset: QuerySet[Any, Any], columns: Mapping[Shape, Sequence[str]]) -> dict[Shape, ByValues]:
    """Queries for single rows, by shape. Values of JSON columns are only good to be shown."""
    return {
        shape: ByValues(queryset.filter(pk__among=Given()).values_list(*names), read_json=encoding.Ready)
        for shape, names in columns.items()
    }


def _check_origin(request: Request) -> None:
    """Refuse what a page of another site makes a browser send.

    Bodies are read whatever their type is, and a server without logins trusts whoever can connect: a
    browser on the same machine must not be talked into submitting.
    """
    origin = request.META.get("HTTP_ORIGIN")
    own = {request.get_host(), urlsplit(settings.MBS.BASE_URL).netloc}
    if origin is not None and origin.partition("://")[2] not in own:
        raise Forbidden("Pages of other sites must not change anything here.", code="foreign_origin")


def _check_length(request: Request) -> None:
    """Refuse a body that is too large before any of it is read, or that does not say how large it is."""
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        raise LengthRequired("The request does not say how long its body is.", hint="Send Content-Length.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > settings.MBS.BODY_LIMIT:
        raise body_too_large()
