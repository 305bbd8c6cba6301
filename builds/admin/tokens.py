"""API tokens: operators make them for others, and revoke them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from builds.admin.base import ReadOnlyAdmin
from builds.models import ApiToken
from builds.services.identity import Scope, tokens


class NewToken(forms.ModelForm):
    """A token that an operator makes for somebody."""

    groups = forms.CharField(
        required=False,
        help_text="Of the owner, with blanks between them. With LDAP they are looked up there.",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in Scope],
        initial=tokens.DEFAULT_SCOPES,
        widget=forms.CheckboxSelectMultiple,
        help_text="What the token may be used for.",
    )
    days = forms.IntegerField(min_value=1, initial=tokens.DEFAULT_DAYS, help_text="How long it is valid.")

    class Meta:
        model = ApiToken
        fields = ("owner", "name", "groups", "scopes", "days")

    def clean_groups(self) -> list[str]:
        return self.cleaned_data["groups"].split()

    def clean_days(self) -> int:
        days, longest = self.cleaned_data["days"], settings.MBS.API_TOKEN_DAYS_MAX
        if days > longest:
            raise forms.ValidationError(f"At most {longest}.")
        return days


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "owner",
        "start",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    search_fields = ("=owner", "name")
    ordering = ("-id",)
    exclude = ("digest",)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_operate_permission(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **kwargs, **({} if obj else {"form": NewToken}))

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_exclude(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        given = form.cleaned_data
        wanted = {key: given[key] for key in ("groups", "scopes", "days")}
        row, token = tokens.create(given["owner"], given["name"], **wanted)
        obj.pk, obj.start = row.pk, row.start
        self.message_user(request, f"The token, which is shown only now: {token}", messages.WARNING)

    @admin.action(description="Revoke", permissions=["operate"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        self.carry_out(request, rows, "Revoked", lambda token, who: tokens.revoke(token))
