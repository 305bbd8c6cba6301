"""Subscriptions to module builds: operators make them for others, and see what was delivered."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from builds.admin.base import ReadOnlyAdmin, link
from builds.messaging import webhooks
from builds.models import Delivery, Subscription, clock
from builds.services import subscribing
from mbs.errors import InvalidInput


class SubscriptionForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes none at run time
    """A subscription whose address fits its kind."""

    class Meta:
        model = Subscription
        fields = ("kind", "address", "owner", "name", "stream", "ended_only", "active")

    def clean(self) -> dict[str, Any] | None:
        """Check that the address fits the kind, and return the values of the form."""
        values = super().clean() or self.cleaned_data
        address = values.get("address", "")
        try:
            subscribing.check_address(values.get("kind", Subscription.Kind.WEBHOOK), address)
        except InvalidInput as error:
            self.add_error("address", f"{error.message} {error.hint}")
        return values


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Subscriptions. Activating one again sends the deliveries that were kept while it was inactive."""

    form = SubscriptionForm
    list_display = (
        "id",
        "kind",
        "address",
        "subscriber",
        "owner",
        "name",
        "stream",
        "ended_only",
        "active",
        "error",
    )
    list_filter = ("kind", "active")
    search_fields = ("=owner", "=name", "address")
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may run actions; the same users add, change and delete subscriptions."""
        return self.has_operate_permission(request)

    has_change_permission = has_delete_permission = has_add_permission

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        """Save a subscription; a new webhook gets a secret, which is shown once."""
        if obj.kind == Subscription.Kind.WEBHOOK and not obj.secret:
            obj.secret = webhooks.new_secret()
            self.message_user(
                request,
                f"Secret for the webhooks, shown only once: {obj.secret}",
                messages.WARNING,
            )
        if obj.active:
            obj.error = ""
        super().save_model(request, obj, form, change)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries to subscribers, with the error of the last try."""

    list_display = ("id", "topic", "to", "created_at", "attempts", "sent_at", "next_at", "error")
    list_filter = (("sent_at", admin.EmptyFieldListFilter),)
    list_select_related = ("subscription",)
    ordering = ("-id",)
    actions = ("send_again",)

    def to(self, delivery: Delivery) -> str:
        """Return a link to the subscription."""
        return link(delivery.subscription)

    @admin.action(description="Send again", permissions=["operate"])
    def send_again(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Send deliveries once more."""
        self.run_action(request, rows, "Sent again", _again)


def _again(delivery: Delivery, who: str) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(sent_at=None, next_at=clock.now())
