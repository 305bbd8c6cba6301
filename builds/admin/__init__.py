"""The admin: builds, waits, bus messages, sweeps and tokens, and actions for operators.

Rows are read-only, since the services own them. Actions call the same services as the API and the workflow,
and each is recorded with user and time (Django's ``LogEntry``).
"""

from __future__ import annotations

from django.contrib import admin

from builds.admin import module_builds, operations, subscriptions, tokens

__all__ = ["module_builds", "operations", "subscriptions", "tokens"]

admin.site.site_header = admin.site.site_title = "Module Build Service"
admin.site.index_title = "Operation"
admin.site.index_template = "builds/admin.html"
