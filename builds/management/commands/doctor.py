"""``mbs-manager doctor``: what is missing before modules can be built, in the service and around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from builds.messaging.publishers import publisher
from builds.services import checkup
from builds.services.build_system import build_system
from buildsys.local.protections import Protection
from buildsys.local.system import LocalBuildSystem
from mbs.errors import Problem
from mbs.text import printable


class Command(BaseCommand):
    help = "Look at database, Redis, clocks, build system and bus: what is missing, and what mends it."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        system, found = build_system(), checkup.examine()
        problems = system.examine(found.tags, found.bare)
        lacking = [
            self._tell("service", found.problems, "to work"),
            self._tell(f"build system {system.name}", problems, "to build modules"),
            self._tell(f"bus ({settings.MBS.MESSAGING})", publisher().examine(), "for messages"),
        ]
        if isinstance(system, LocalBuildSystem):
            self._tell_protections(system.protections())
        if any(lacking):
            raise CommandError(" ".join(filter(None, lacking)))

    def _tell_protections(self, protections: Sequence[Protection]) -> None:
        for each in protections:
            self.stdout.write(f"{'in force:' if each.in_force else 'not in force:':13} {each.text}")
            if each.remedy and not each.in_force:
                self.stdout.write(f"    {each.remedy}")

    def _tell(self, name: str, problems: Sequence[Problem], purpose: str) -> str:
        """Print what is wrong with a thing, or that it is ready; answers a sentence when it is not."""
        for problem in problems:
            self.stdout.write(self.style.ERROR(printable(problem.message)))
            if problem.hint:
                self.stdout.write(f"    {printable(problem.hint)}")
        if problems:
            return f"The {name} lacks {len(problems)} things."
        self.stdout.write(self.style.SUCCESS(f"The {name} is ready {purpose}."))
        return ""
