"""The view of subscriptions to module builds."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework.request import Request
from rest_framework.response import Response

from builds import representations, shapes
from builds.api.openapi.operations import Operation
from builds.api.permissions import is_admin, require_login, require_submitter
from builds.api.serializers import FlagField, StrictSerializer, TextField
from builds.api.views.base import PersonalViewSet
from builds.models import Subscription
from builds.selectors.listing import Listing
from builds.services import subscribing
from builds.services.auth import Identity
from builds.shapes.lists import SubscriptionPage
from mbs.errors import Forbidden, InvalidInput, NotFound


@extend_schema_serializer(
    examples=[OpenApiExample("own builds", {"address": "https://example.com/hook", "owner": "ann"})]
)
class NewSubscriptionSerializer(StrictSerializer):
    """The request body for a new subscription."""

    kind = TextField(max_length=16, help_text="webhook (the default), or mail for admins")
    address = TextField(max_length=1000, help_text="https:// address, or mail address")
    owner = TextField(max_length=255, help_text="Only builds of this owner")
    name = TextField(max_length=255, help_text="Only builds of this module")
    stream = TextField(max_length=255, help_text="Only builds of this stream")
    ended_only = FlagField(help_text="Only when a build is ready or has failed; true by default")


class SubscriptionViewSet(PersonalViewSet):
    """List, create and delete subscriptions: one's own, and for admins all."""

    tag = "subscriptions"
    operations = {
        "list": Operation("list_subscriptions", SubscriptionPage, (401, 403)),
        "create": Operation("subscribe", shapes.NewSubscription, (409,), 201),
        "destroy": Operation("unsubscribe", shapes.Subscription),
    }
    queryset = Subscription.objects.all()
    serializer_class = NewSubscriptionSerializer

    def list(self, request: Request, **kwargs: Any) -> Response:
        """List the user's subscriptions, or for admins all, newest first."""
        rows = self._visible(require_login(self.identity)).order_by("-id")
        page = self.rows(Listing(rows, representations.SUBSCRIPTION_COLUMNS))
        return self.get_paginated_response([representations.subscription(row) for row in page])

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Subscribe a webhook to module builds. The answer shows its secret, which cannot be shown again."""
        user = require_submitter(self.identity)
        values = {key: value for key, value in self.read().items() if value is not None}
        kind = values.pop("kind", "") or Subscription.Kind.WEBHOOK.value
        if kind not in Subscription.Kind.values:
            raise InvalidInput(
                f"There is no kind of subscription {kind!r}.",
                code="invalid_kind",
                hint="Use webhook or mail.",
            )
        if kind == Subscription.Kind.MAIL and not is_admin(user):
            # The service cannot check to whom a mail address belongs.
            raise Forbidden(
                "Only admins may subscribe mail addresses.",
                code="mail_for_admins",
                hint="Use a webhook, or ask an operator.",
            )
        row = subscribing.create(user.username, kind, values.pop("address", ""), **values)
        secret = {"secret": row.secret or None}
        return Response({**representations.subscription(row), **secret}, status=201)

    def destroy(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Delete a subscription, with its deliveries that were not sent."""
        user = require_login(self.identity)
        row = self._visible(user).filter(pk=int(pk)).first()
        if row is None:
            raise NotFound(f"You have no subscription {pk}.", code="no_such_subscription")
        answer = representations.subscription(row)
        subscribing.delete(row, user.username)
        return Response(answer)

    def _visible(self, user: Identity) -> QuerySet[Subscription]:
        return self.queryset if is_admin(user) else self.queryset.filter(subscriber=user.username)
