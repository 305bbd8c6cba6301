"""The admin: an overview, builds, waits, bus messages, sweeps, tokens, actions, and who did what.

Rows are read-only, since the services own them. Actions call the same services as the API and the workflow,
and each is recorded with user and time (``AuditEntry``, and Django's
``LogEntry`` for the history of a row).
"""

from __future__ import annotations

from django.contrib import admin

from builds.admin import accounts, audit, module_builds, operations, subscriptions, tokens

__all__ = ["accounts", "audit", "module_builds", "operations", "subscriptions", "tokens"]

admin.site.site_header = admin.site.site_title = "Module Build Service"
admin.site.index_title = "Operation"
admin.site.index_template = "builds/admin.html"
# Lists need the width; the start page and the breadcrumbs lead to all tables.
admin.site.enable_nav_sidebar = False
