"""``mbs-manager celery ...``: run Celery with the service's app."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from config.celery import app


class Command(BaseCommand):
    """Pass all arguments to Celery.

    ``celery -A config.celery`` puts the current folder in front of Python's path, where an operator's
    ``config.py`` would hide the package ``config``.
    """

    help = "Run Celery with the service's app, e.g.: mbs-manager celery worker -Q workflow"
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Run Celery instead of parsing the arguments as Django's."""
        app.start(argv[2:])

    def handle(self, *args: Any, **options: Any) -> None:
        """Run Celery, when called from code."""
        app.start(list(args))
