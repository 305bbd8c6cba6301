"""The view of API tokens."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework.request import Request
from rest_framework.response import Response

from builds import representations
from builds.api.openapi.operations import Operation
from builds.api.permissions import require_login, require_person
from builds.api.serializers import StrictSerializer, TextField, TextListField, WholeNumberField
from builds.api.views.base import PersonalViewSet
from builds.models import ApiToken
from builds.selectors.listing import Listing
from builds.services.auth import Identity, Scope, tokens
from builds.shapes import NewToken, Token
from builds.shapes.lists import TokenPage
from mbs.errors import InvalidInput, NotFound


@extend_schema_serializer(
    examples=[OpenApiExample("token", {"name": "nightly builds", "scopes": ["submit"], "days": 30})]
)
class NewTokenSerializer(StrictSerializer):
    """The request body for a new token."""

    name = TextField(max_length=100, help_text="Name that tells you what the token is for")
    scopes = TextListField(help_text=f"Operations that it permits: some of {', '.join(Scope)}")
    days = WholeNumberField(help_text="Days until it expires")


class TokenViewSet(PersonalViewSet):
    """List, create and revoke one's own API tokens."""

    tag = "API tokens"
    operations = {
        "list": Operation("list_tokens", TokenPage, (401, 403)),
        "create": Operation("create_token", NewToken, status=201),
        "destroy": Operation("revoke_token", Token),
    }
    queryset = ApiToken.objects.all()
    serializer_class = NewTokenSerializer

    def list(self, request: Request, **kwargs: Any) -> Response:
        """List the user's API tokens."""
        own = self._own(require_login(self.identity))
        page = self.rows(Listing(own, representations.TOKEN_COLUMNS))
        return self.get_paginated_response([representations.api_token(row) for row in page])

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create an API token. The answer shows its text, which cannot be shown again."""
        user = require_person(self.identity)
        values = self.read()
        if not values.get("name", "").strip():
            raise InvalidInput(
                "The key 'name' is missing or blank.",
                code="missing_name",
                hint="Send a name that tells you what the token is for.",
            )
        row, token = tokens.create(user.username, groups=user.groups, **values)
        return Response({**representations.api_token(row), "token": token}, status=201)

    def destroy(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Revoke an API token."""
        row = self._own(require_login(self.identity)).filter(pk=int(pk)).first()
        if row is None:
            raise NotFound(f"You have no API token {pk}.", code="no_such_token")
        tokens.revoke(row)
        return Response(representations.api_token(row))

    def _own(self, user: Identity) -> QuerySet[ApiToken]:
        """Return the user's tokens. A request that uses an API token sees only that token."""
        rows = self.queryset.filter(owner=user.username).order_by("-id")
        return rows if user.token_id is None else rows.filter(pk=user.token_id)
