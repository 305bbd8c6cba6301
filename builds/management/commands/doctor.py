"""``mbs-manager doctor``: check everything that building modules needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from builds.messaging.publishers import publisher
from builds.services import checkup
from builds.services.auth import setup_checks
from builds.services.auth.methods import CALLBACK, device_login, web_login_enabled
from builds.services.build_system import build_system
from buildsys.local.protections import Protection
from buildsys.local.system import LocalBuildSystem
from mbs.errors import Problem
from mbs.text import printable


class Command(BaseCommand):
    """Print problems and remedies."""

    help = (
        "Check database, Redis, clocks, build system, logins and bus, and print how to fix what is missing."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run all checks.

        Raises:
            CommandError: A check failed.
        """
        system, found = build_system(), checkup.examine()
        problems = system.examine(found.tags, found.bare)
        lacking = [
            self._print_problems("service", found.problems, "to work"),
            self._print_problems(f"build system {system.name}", problems, "to build modules"),
            *self._print_logins(),
            self._print_problems(f"bus ({settings.MBS.MESSAGING})", publisher().examine(), "for messages"),
        ]
        if isinstance(system, LocalBuildSystem):
            self._print_protections(system.protections())
        if any(lacking):
            raise CommandError(" ".join(filter(None, lacking)))

    def _print_logins(self) -> list[str]:
        """Print the problems of logins at the provider, if there are such logins."""
        if not (web_login_enabled() or device_login()):
            return []
        summary = self._print_problems("login", list(setup_checks.examine()), "for people")
        if web_login_enabled():
            address = f"{settings.MBS.BASE_URL}{CALLBACK}"
            self.stdout.write(f"    The provider must know this redirect address: {address}")
        return [summary]

    def _print_protections(self, protections: Sequence[Protection]) -> None:
        for each in protections:
            self.stdout.write(f"{'in force:' if each.in_force else 'not in force:':13} {each.text}")
            if each.remedy and not each.in_force:
                self.stdout.write(f"    {each.remedy}")

    def _print_problems(self, name: str, problems: Sequence[Problem], purpose: str) -> str:
        """Print the problems of a subsystem, or that it is ready. Return a summary if there are problems."""
        for problem in problems:
            self.stdout.write(self.style.ERROR(printable(problem.message)))
            if problem.hint:
                self.stdout.write(f"    {printable(problem.hint)}")
        if problems:
            return f"The {name} has {len(problems)} problem{'s' if len(problems) > 1 else ''}."
        self.stdout.write(self.style.SUCCESS(f"The {name} is ready {purpose}."))
        return ""
