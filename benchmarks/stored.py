"""Universes of the expansion benchmark in PostgreSQL, with counted statements."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.postgres import postgres
from mbs.expansion import Available, NameStream, Universe


class Counting:
    """A universe that counts the SQL statements of another one."""

    def __init__(self, universe: Universe, connection: Any) -> None:
        self._universe = universe
        self._connection = connection
        self.statements = 0

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        """See ``Universe.base_modules``."""
        with self._connection.execute_wrapper(self._count):
            return self._universe.base_modules(names)

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        """See ``Universe.streams``."""
        with self._connection.execute_wrapper(self._count):
            return self._universe.streams(names)

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        """See ``Universe.candidates``."""
        with self._connection.execute_wrapper(self._count):
            return self._universe.candidates(wanted, bases)

    def _count(self, execute: Any, *arguments: Any) -> Any:
        self.statements += 1
        return execute(*arguments)


@contextmanager
def database() -> Iterator[None]:
    """Start an empty PostgreSQL and set up Django with it."""
    with postgres() as (url, _):
        os.environ |= {
            "MBS_CONFIG_FILE": "",
            "MBS_CONFIG_SECTION": "test",
            "MBS_DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        # It needs the variables above.
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        try:
            yield
        finally:
            from django.db import connection

            connection.close()


def store(known: Sequence[Available]) -> Counting:
    """Replace the builds in the database by these; return a universe that reads them."""
    from django.db import connection

    from builds.models import BuildRequirement, ModuleBuild
    from builds.selectors.universe import DatabaseUniverse
    from mbs.states import BuildState

    BuildRequirement.objects.all().delete()
    ModuleBuild.objects.all().delete()
    rows = ModuleBuild.objects.bulk_create(
        ModuleBuild(
            name=each.name,
            stream=each.stream,
            version=str(each.version),
            context=each.context,
            state=BuildState.READY,
            modulemd="x" * 10_000,
            owner="bench",
            commit=each.ref,
            koji_tag=each.koji_tag,
            requires=list(each.requires),
            buildrequires={name: {"stream": stream} for name, stream in each.built_against.items()},
        )
        for each in known
    )
    pks = {(row.name, row.stream): row.pk for row in rows}
    BuildRequirement.objects.bulk_create(
        BuildRequirement(module_build_id=pks[each.name, each.stream], required_id=pks[base])
        for each in known
        for base in each.built_against.items()
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Counting(DatabaseUniverse(), connection)
