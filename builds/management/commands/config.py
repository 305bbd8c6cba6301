"""``mbs-manager config``: print the effective configuration."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from difflib import get_close_matches
from itertools import groupby
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.describe import Option, describe_options, masked, plain
from config.documentation import page
from config.loader import Loaded
from config.schema import Options


class Command(BaseCommand):
    """Print options with their values, meanings and sources."""

    help = "Print the effective value of every option, its meaning, and where the value came from."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("names", nargs="*", metavar="OPTION", help="print only these options")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--json", action="store_true", help="print one JSON object, for programs")
        what.add_argument("--defaults", action="store_true", help="print docs/configuration.md")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the options."""
        if options["defaults"]:
            self.stdout.write(page(), ending="")
            return
        loaded: Loaded = settings.MBS_LOADED
        wanted = _wanted(options["names"])
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(loaded, wanted), indent=2, ensure_ascii=False))
            return
        self.stdout.write(f"Section {loaded.section} of {loaded.path or 'the built-in configuration'}")
        for warning in loaded.warnings:
            self.stdout.write(self.style.WARNING(f"Warning: {warning}"))
        for title, group in groupby(wanted, lambda option: option.group):
            self.stdout.write("\n" + self.style.MIGRATE_HEADING(title))
            for option in group:
                source = loaded.sources[option.name]
                line = f"{option.name} = {_value(loaded, option)!r}"
                self.stdout.write(line if source == "default" else self.style.SUCCESS(line))
                self.stdout.write(f"    {option.meaning} [{source}]")


def _wanted(names: list[str]) -> list[Option]:
    names = [name.upper() for name in names]
    for name in names:
        if name not in Options.model_fields:
            near = get_close_matches(name, Options.model_fields, n=1)
            raise CommandError(f"There is no option {name}." + (f" Did you mean {near[0]}?" if near else ""))
    return [option for option in describe_options() if not names or option.name in names]


def _value(loaded: Loaded, option: Option) -> Any:
    return plain(masked(option.name, getattr(loaded.options, option.name)))


def _as_json(loaded: Loaded, wanted: list[Option]) -> dict[str, Any]:
    return {
        "section": loaded.section,
        "path": loaded.path,
        "warnings": list(loaded.warnings),
        "options": {
            option.name: {
                "value": _value(loaded, option),
                "source": loaded.sources[option.name],
                "default": option.default,
                "required": option.required,
                "type": option.type,
                "group": option.group,
                "meaning": option.meaning,
            }
            for option in wanted
        },
    }
