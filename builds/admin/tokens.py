"""Admin pages of API tokens, which operators can create for others and revoke."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from builds.admin.base import ReadOnlyAdmin
from builds.models import ApiToken
from builds.services.auth import Scope, tokens


class NewTokenForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's class takes none
    """The form for a new token."""

    groups = forms.CharField(
        required=False,
        help_text="Groups of the owner, separated by spaces. With LDAP, they are looked up there instead.",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in Scope],
        initial=tokens.DEFAULT_SCOPES,
        widget=forms.CheckboxSelectMultiple,
        help_text="Operations that the token permits.",
    )
    days = forms.IntegerField(min_value=1, initial=tokens.DEFAULT_DAYS, help_text="Days until it expires.")

    class Meta:
        model = ApiToken
        fields = ("owner", "name", "groups", "scopes", "days")

    def clean_groups(self) -> list[str]:
        """Return the groups as a list."""
        groups: str = self.cleaned_data["groups"]
        return groups.split()

    def clean_days(self) -> int:
        """Return the number of days.

        Raises:
            ValidationError: There are too many.
        """
        days: int = self.cleaned_data["days"]
        longest = settings.MBS.API_TOKEN_DAYS_MAX
        if days > longest:
            raise forms.ValidationError(f"Enter at most {longest}.")
        return days


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """API tokens, with an action to revoke them."""

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
        """Return whether the user may run actions."""
        return self.has_operate_permission(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form for a new token."""
        return super().get_form(request, obj, change, **kwargs, **({} if obj else {"form": NewTokenForm}))

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the hidden fields."""
        return super().get_exclude(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Create the token, and show its text once."""
        given = form.cleaned_data
        wanted = {key: given[key] for key in ("groups", "scopes", "days")}
        by = request.user.get_username()
        row, token = tokens.create(given["owner"], given["name"], by=by, **wanted)
        obj.pk, obj.start = row.pk, row.start
        self.message_user(request, f"Copy the token now, it cannot be shown again: {token}", messages.WARNING)

    def log_addition(self, request: HttpRequest, obj: ApiToken, message: Any) -> Any:
        """Add no entry to the audit list: ``tokens.create`` has added one."""
        return admin.ModelAdmin.log_addition(self, request, obj, message)

    @admin.action(description="Revoke", permissions=["operate"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> TemplateResponse | None:
        """Revoke the selected tokens."""
        consequence = "Programs that use these tokens are refused from now on. This cannot be undone."
        return self.run_action(request, rows, "Revoked", tokens.revoke, consequence=consequence, audited=True)
