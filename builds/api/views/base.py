"""Base classes of the API's views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from builds import encoding, representations
from builds.api import links, pagination, parameters
from builds.api.authentication import SAFE
from builds.api.errors import LengthRequired, body_too_large
from builds.api.filters import BuildFilterSet, FilterBackend, OrderBackend
from builds.api.openapi.operations import Operation
from builds.api.parameters import Shape
from builds.api.renderers import is_page
from builds.api.serializers import LogMessageSerializer, RowSerializer, StrictSerializer
from builds.selectors.compiled import CompiledQuery, Given
from builds.selectors.listing import Listing, Record, records
from builds.services.auth import Identity
from mbs.errors import Forbidden, InvalidInput, NotFound

#: An id in an address. Longer ones do not fit into a column.
NUMBER = "[0-9]{1,18}"
#: Cached queries of unfiltered lists, by view, shape and order.
MAX_LISTINGS = 100
_LISTINGS: dict[tuple[Any, ...], Listing] = {}


class ApiViewSet(GenericViewSet[Any]):
    """Check what applies to every request, and set the headers of every answer."""

    #: The group of its operations in the OpenAPI document.
    tag = "service"
    #: Action -> the description of its operation in the OpenAPI document.
    operations: Mapping[str, Operation] = {}
    #: Whether reading needs a login, too.
    private = False
    #: Names of unknown query parameters in this request.
    unknown: Sequence[str] = ()

    def known_parameters(self) -> set[str]:
        """Return the names of the query parameters that this request may use."""
        return set()

    def repeatable_parameters(self) -> set[str]:
        """Return the names of the query parameters that may have several values."""
        return set()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the query parameters and, for a request that changes something, its origin and length.

        Raises:
            InvalidInput: A parameter is not valid.
            Forbidden: The request comes from a page of another site.
            LengthRequired: The length of the body is not announced.
            TooLarge: The body is too large.
        """
        super().initial(request, *args, **kwargs)
        parameters.check_encoding(request)
        sent = request.query_params
        given = parameters.given(sent, self.repeatable_parameters())
        request._request.GET = given  # type: ignore[assignment]  # the stubs expect a class of their own
        if request.method not in SAFE:
            _check_origin(request)
            _check_length(request)
            return
        known = {parameters.STRICT, *self.known_parameters()}
        self.unknown = sorted(sent.keys() - known)
        if self.strict(request):
            parameters.check_known(self.unknown, known)

    def http_method_not_allowed(  # type: ignore[override]  # DRF passes a request of its own
        self, request: Request, *args: Any, **kwargs: Any
    ) -> Response:
        """Answer a browser that opens an address which only takes POST with the page of its form.

        Raises:
            MethodNotAllowed: The client is not a browser.
        """
        forms = {"POST", "DELETE"}.intersection(self.allowed_methods)
        if request.method == "GET" and forms and is_page(request):
            return Response(self.form_subject(**kwargs))
        return super().http_method_not_allowed(request, *args, **kwargs)

    def form_subject(self, **kwargs: Any) -> Any:
        """Return the data that the page of a form shows beside the form."""
        return None

    def strict(self, request: Request) -> bool:
        """Return whether unknown parameters are an error: on request, and always on pages."""
        return parameters.flag(request, parameters.STRICT) or is_page(request)

    def finalize_response(  # type: ignore[override]  # DRF accepts any response of Django
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Add headers: CORS for reads, and a warning about unknown parameters."""
        final: HttpResponseBase = super().finalize_response(
            request,
            response,  # type: ignore[arg-type]  # DRF accepts any response of Django
            *args,
            **kwargs,
        )
        if request.method in SAFE:
            final["Access-Control-Allow-Origin"] = "*"
            if self.unknown:
                final["Warning"] = parameters.warning(self.unknown)
        if isinstance(final, Response):
            final.add_post_render_callback(_release)
        return final

    @property
    def identity(self) -> Identity | None:
        """The user that ``CredentialAuthentication`` has identified."""
        user: object = self.request.user
        return user if isinstance(user, Identity) else None

    def read(self) -> dict[str, Any]:
        """Return the values in the request body.

        Raises:
            InvalidInput: Keys are not valid. There is a problem for each.
        """
        serializer = self.get_serializer(data=self.request.data)
        if not isinstance(serializer, StrictSerializer):
            raise TypeError(f"{type(serializer).__name__} reads no body.")
        return serializer.read()

    def rows(self, listing: Listing) -> list[Record]:
        """Return the rows of the requested page."""
        paginator = self.paginator
        if not isinstance(paginator, pagination.PagePagination):
            raise TypeError(f"{type(self).__name__} has no pages.")
        return paginator.rows(listing, self.request)


class PersonalViewSet(ApiViewSet):
    """A list of rows that belong to users. Its answers are neither cached nor shown to other sites."""

    private = True
    #: Methods that grant lasting access, for which the identity is checked afresh.
    granting = ("POST",)
    pagination_class = pagination.PagePagination
    filter_backends = ()
    lookup_value_regex = NUMBER

    def known_parameters(self) -> set[str]:
        """Return the parameters of a list."""
        return {*pagination.PARAMETERS}

    def finalize_response(  # type: ignore[override]  # DRF accepts any response of Django
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Forbid caching, and remove the CORS header."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        del response["Access-Control-Allow-Origin"]
        return response


class BuildViewSet(ApiViewSet):
    """A list and its items, in the requested shape.

    Attributes:
        noun: Name of an item in messages.
        columns: Shape -> the columns that it shows, with ``id`` first.
        by_id: Shape -> the query for these columns by id.
        order_columns: Column in a request -> fields or expressions to order by.
        input_serializers: Action -> the serializer of its request body.
    """

    queryset: QuerySet[Any]
    serializer_class: type[RowSerializer]
    filter_backends = (FilterBackend, OrderBackend)
    filterset_class: type[BuildFilterSet]
    columns: Mapping[Shape, Sequence[str]] = {}
    by_id: Mapping[Shape, CompiledQuery] = {}
    order_columns: Mapping[str, tuple[Any, ...]] = {}
    input_serializers: Mapping[str, type[StrictSerializer]] = {}

    pagination_class: type[pagination.PagePagination] = pagination.PagePagination
    lookup_value_regex = NUMBER
    noun = ""

    def known_parameters(self) -> set[str]:
        """Return the names of the query parameters of the action."""
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
        """Return the names of the parameters of a list that may have several values."""
        return (
            {*OrderBackend.parameters, *self.filterset_class.repeatable()} if self.action == "list" else set()
        )

    def list(self, request: Request, **kwargs: Any) -> Response:
        """List builds, one page at a time."""
        if "id" in request.query_params:
            number = request.query_params["id"]
            where = f"{request.path.rstrip('/')}/{number}" if number.isdigit() else "the address of one item"
            raise InvalidInput(
                "The parameter 'id' does not filter a list.",
                code="id_is_no_filter",
                hint=f"Get {where[:200]} instead.",
            )
        shape = parameters.shape(request)
        page = self.rows(self.listing(shape))
        return self.get_paginated_response(self.represent(page, shape))

    def listing(self, shape: Shape) -> Listing:
        """Return the requested list.

        Unfiltered lists are the same for all users, so their queries are cached.
        """
        query = self.request.query_params
        if not query.keys().isdisjoint(self.filterset_class.names()):
            return Listing(self.filter_queryset(self.queryset), self.columns[shape])
        order = tuple(tuple(query.getlist(name)) for name in OrderBackend.parameters)
        key = type(self), shape, order
        listing = _LISTINGS.get(key)
        if listing is None:
            if len(_LISTINGS) > MAX_LISTINGS:
                _LISTINGS.clear()
            listing = _LISTINGS[key] = Listing(self.filter_queryset(self.queryset), self.columns[shape])
        return listing

    def retrieve(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Show one build."""
        shape = parameters.shape(request)
        rows = list(map(records(tuple(self.columns[shape])), self.by_id[shape]([int(pk)])))
        if not rows:
            raise self.not_found(pk)
        return Response(self.represent(rows, shape)[0])

    def form_subject(self, pk: str = "", **kwargs: Any) -> Any:
        """Return the item that the form changes."""
        return self.represent([self.row(pk)], Shape.SHORT)[0] if pk else None

    def row(self, pk: str) -> Any:
        """Return the row with this id.

        Raises:
            NotFound: There is no such row.
        """
        row = self.queryset.filter(pk=int(pk)).first()
        if row is None:
            raise self.not_found(pk)
        return row

    def not_found(self, pk: str) -> NotFound:
        """Return the error for an id that no row has."""
        return NotFound(f"There is no {self.noun} {pk}.", code=f"no_such_{self.noun.replace(' ', '_')}")

    @action(
        detail=True,
        methods=["get"],
        pagination_class=pagination.MessagePagination,
        serializer_class=LogMessageSerializer,
    )
    def messages(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """List the log messages of a build, newest first."""
        messages = self.row(pk).log_messages.order_by("-id")
        page = self.rows(Listing(messages, representations.LOG_COLUMNS))
        return self.get_paginated_response(self.represent(page, Shape.DEFAULT))

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Return the serializer of the request body for the action."""
        return self.input_serializers.get(self.action) or self.serializer_class

    def represent(self, rows: Any, shape: Shape) -> Any:
        """Return the representations of rows."""
        return self.serializer_class.page(rows, shape, self.request)


def by_id(queryset: QuerySet[Any, Any], columns: Mapping[Shape, Sequence[str]]) -> dict[Shape, CompiledQuery]:
    """Return queries for single rows, by shape. JSON columns are not parsed, but copied into the answer."""
    return {
        shape: CompiledQuery(
            queryset.filter(pk__among=Given()).values_list(*names), read_json=encoding.RawJSON
        )
        for shape, names in columns.items()
    }


def _release(response: Response) -> None:
    """Release the data of an answer that was rendered.

    DRF's view, request and response refer to each other, so the data would stay in memory until the garbage
    collector finds it (docs/decisions.md, "Answers are released once they are rendered").
    """
    response.data = None


def _check_origin(request: Request) -> None:
    """Refuse a request that a page of another site makes a browser send.

    A server without logins trusts every client that can connect, and bodies are read whatever their type is.
    Without this check, any web page could submit builds through a browser on the same machine.
    """
    origin = request.META.get("HTTP_ORIGIN")
    # The scheme counts: whoever controls the network can send pages of the same host over plain http.
    own = {links.site(request), *settings.CSRF_TRUSTED_ORIGINS}
    if origin is not None and origin not in own:
        raise Forbidden("Pages of other sites must not send changes to this service.", code="foreign_origin")


def _check_length(request: Request) -> None:
    """Refuse a body that is too large or of unknown length, before it is read."""
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        raise LengthRequired(
            "The request does not announce the length of its body.", hint="Send the header Content-Length."
        )
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > settings.MBS.BODY_LIMIT:
        raise body_too_large()
