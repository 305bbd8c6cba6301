"""``mbs-manager doctor``: what the build system lacks before modules can be built on it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from builds.models import ModuleBuild
from builds.services.systems import build_system
from mbs.states import BuildState


class Command(BaseCommand):
    help = "Log in to the build system and say what is missing there, and what command mends it."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        system = build_system()
        problems = system.examine(_base_tags())
        for problem in problems:
            self.stdout.write(self.style.ERROR(problem.message))
            if problem.hint:
                self.stdout.write(f"    {problem.hint}")
        if problems:
            raise CommandError(f"The build system {system.name} lacks {len(problems)} things.")
        self.stdout.write(self.style.SUCCESS(f"The build system {system.name} is ready to build modules."))


def _base_tags() -> list[str]:
    """The tags of the base modules that modules can be built on."""
    ready = ModuleBuild.objects.filter(name__in=settings.MBS.BASE_MODULE_NAMES, state=BuildState.READY)
    tags = ready.exclude(koji_tag=None).order_by("koji_tag").values_list("koji_tag", flat=True)
    return [tag for tag in tags.distinct() if tag]
