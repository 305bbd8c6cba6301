"""The the admin: what there is, what hangs and on what, and the few things to do about it.

Nothing is edited here, since rows belong to the services: operators act, by the same services that the
API and the workflow use, and every action is recorded with who and when (Django's ``LogEntry``).
"""

from __future__ import annotations

from django.contrib import admin

from builds.admin import module_builds, operations, tokens

__all__ = ["module_builds", "operations", "tokens"]

admin.site.site_header = admin.site.site_title = "Module Build Service"
admin.site.index_title = "Operation"
admin.site.index_template = "builds/admin.html"
