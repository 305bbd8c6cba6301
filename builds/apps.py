"""The Django app ``builds``."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections


class BuildsConfig(AppConfig):
    """Configuration of the app."""

    name = "builds"
    verbose_name = "Module builds"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Exempt migrations from the time limit of database statements."""
        from django.db.models.signals import pre_migrate

        pre_migrate.connect(_wait_for_ever)


def _wait_for_ever(using: str, **_: Any) -> None:
    connection = connections[using]
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.remove_time_limits()  # type: ignore[attr-defined]  # of config.postgresql
