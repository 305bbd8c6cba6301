"""Admin pages of users, groups and logins, whose changes are added to the audit list."""

from __future__ import annotations

from axes.admin import AccessAttemptAdmin, AccessFailureLogAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from builds.admin.base import AuditedAdmin

admin.site.unregister([User, Group, AccessAttempt, AccessLog, AccessFailureLog])


@admin.register(User)
class AuditedUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]  # Django's class takes none
    """Users of the admin and of pages."""


@admin.register(Group)
class AuditedGroupAdmin(AuditedAdmin, GroupAdmin):
    """Groups of users."""


@admin.register(AccessAttempt)
class FailedLoginAdmin(AuditedAdmin, AccessAttemptAdmin):  # type: ignore[misc]  # axes has no types
    """Failed logins, which are counted."""

    date_hierarchy = None


@admin.register(AccessLog)
class LoginAdmin(AuditedAdmin, AccessLogAdmin):  # type: ignore[misc]  # axes has no types
    """Logins."""

    date_hierarchy = None


@admin.register(AccessFailureLog)
class LoginFailureAdmin(AuditedAdmin, AccessFailureLogAdmin):  # type: ignore[misc]  # axes has no types
    """Failed logins, which axes logs on request."""

    date_hierarchy = None
