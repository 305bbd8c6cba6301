"""API tokens, for the users whose they are."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from builds import representations
from builds.api import pagination
from builds.api.permissions import require_login, require_person
from builds.api.serializers import StrictSerializer, Text, Texts, Whole
from builds.api.views.base import NUMBER, ApiViewSet
from builds.models import ApiToken
from builds.selectors.listing import Listing
from builds.services.identity import Identity, Scope, tokens
from mbs.errors import InvalidInput, NotFound


class NewTokenSerializer(StrictSerializer):
    """What a token is to be."""

    name = Text(max_length=100, help_text="What the token is for")
    scopes = Texts(help_text=f"What it may be used for: some of {', '.join(Scope)}")
    days = Whole(help_text="How long it is valid")


class TokenViewSet(ApiViewSet):
    """API tokens: list one's own, make one, revoke one. Each of them needs a login."""

    private = True
    #: methods that grant something which outlasts the login
    granting = ("POST",)
    queryset = ApiToken.objects.all()
    serializer_class = NewTokenSerializer
    pagination_class = pagination.Pages
    filter_backends = ()
    lookup_value_regex = NUMBER

    def known_parameters(self) -> set[str]:
        return {*pagination.PARAMETERS}

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        del response["Access-Control-Allow-Origin"]
        return response

    def list(self, request: Request, **kwargs: Any) -> Response:
        own = self._own(require_login(request.user))
        page = self.paginate_queryset(Listing(own, representations.TOKEN_COLUMNS))
        return self.get_paginated_response([representations.api_token(row) for row in page])

    def create(self, request: Request, **kwargs: Any) -> Response:
        user = require_person(request.user)
        values = self.get_serializer(data=request.data).read()
        if not values.get("name", "").strip():
            raise InvalidInput(
                "A token needs a name.", code="missing_name", hint="Say in the key 'name' what it is for."
            )
        row, token = tokens.create(user.username, groups=user.groups, **values)
        return Response({**representations.api_token(row), "token": token}, status=201)

    def destroy(self, request: Request, pk: str, **kwargs: Any) -> Response:
        row = self._own(require_login(request.user)).filter(pk=int(pk)).first()
        if row is None:
            raise NotFound(f"You have no API token {pk}.", code="no_such_token")
        tokens.revoke(row)
        return Response(representations.api_token(row))

    def _own(self, user: Identity) -> QuerySet[ApiToken]:
        """The user's tokens; who shows an API token sees nothing but that one."""
        rows = self.queryset.filter(owner=user.username).order_by("-id")
        return rows if user.token_id is None else rows.filter(pk=user.token_id)
