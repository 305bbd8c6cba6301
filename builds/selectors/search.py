"""Find builds by name, stream, component, NVR, commit or owner.

Each of these is looked up through an index of its own, and reads a bounded number of rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import connection
from django.db.models import Model, Q, QuerySet

from builds.models import ComponentBuild, ModuleBuild
from mbs.nsvc import NSVC, PARTS
from mbs.text import whole_number

#: Max length of a text to search for.
MAX_LENGTH = 200
#: Max results of each kind.
MAX_SHOWN = 10
#: Max rows that are read for one name; the results are chosen from them.
MAX_READ = 30
#: Max builds that a condition lists by id.
MAX_NUMBERS = 500
#: Min digits of an abbreviated commit, and digits of a whole one (SHA-1).
SHORTEST_COMMIT, WHOLE_COMMIT = 7, 40
_COMMIT = re.compile(rf"[0-9a-f]{{{SHORTEST_COMMIT},{WHOLE_COMMIT}}}")
_DIGITS = "0123456789abcdef"
_SHOWN = (
    *("id", *PARTS, "state", "error_code", "owner", "scratch"),
    "time_submitted",
)


@dataclass(frozen=True)
class Hit:
    """A build that was found.

    Attributes:
        build: The newest build with the matching text.
        what: The matching text: a stream, a package, an NVR or a commit.
    """

    build: ModuleBuild
    what: str


@dataclass(frozen=True)
class Found:
    """The results of a search, by kind; an empty list for a kind without results."""

    streams: tuple[Hit, ...] = ()
    components: tuple[Hit, ...] = ()
    nvrs: tuple[Hit, ...] = ()
    commits: tuple[Hit, ...] = ()
    owned: tuple[Hit, ...] = ()

    @property
    def empty(self) -> bool:
        """Return whether the search has no results."""
        return not (self.streams or self.components or self.nvrs or self.commits or self.owned)


def is_commit(text: str) -> bool:
    """Return whether a text may be a commit or the beginning of one."""
    return _COMMIT.fullmatch(text) is not None


def commits(column: str, beginning: str) -> Q:
    """Return the condition that a commit begins with a text.

    Hexadecimal digits have the same order in all collations, so any index of the column can be used.
    """
    if len(beginning) == WHOLE_COMMIT:
        return Q(**{column: beginning})
    last = _DIGITS.index(beginning[-1]) + 1
    behind = beginning[:-1] + (_DIGITS[last] if last < len(_DIGITS) else "g")
    return Q(**{f"{column}__gte": beginning, f"{column}__lt": behind, f"{column}__startswith": beginning})


def with_component(package: str) -> Q:
    """Return the condition that a module build has a component with the name of a package.

    If at most ``MAX_NUMBERS`` builds have one, the condition lists their ids, so that the database knows how
    many rows to expect.
    """
    rows = ComponentBuild.objects.filter(package=package)
    numbers = list(rows.order_by("-id").values_list("module_build_id", flat=True)[: MAX_NUMBERS + 1])
    return Q(pk__in=numbers if len(numbers) <= MAX_NUMBERS else rows.values("module_build_id"))


def exact(text: str) -> ModuleBuild | None:
    """Return the build whose id or N:S:V:C is the text, if there is one."""
    nsvc = NSVC.split(text)
    rows = ModuleBuild.objects.only(*_SHOWN)
    if (number := whole_number(text)) is not None:
        return rows.filter(pk=number).first()
    if len(nsvc) == len(PARTS):
        return rows.filter(**nsvc).first()
    return None


def find(text: str) -> Found:
    """Search for builds.

    The number of statements and of the rows that they read is bounded, however many builds there are.

    Args:
        text: Text without surrounding blanks, at most ``MAX_LENGTH`` characters.
    """
    return Found(
        streams=tuple(_streams(text)),
        components=tuple(_components(text)),
        nvrs=tuple(_nvrs(text)),
        commits=tuple(_commits(text)),
        owned=tuple(Hit(build, text) for build in _newest(ModuleBuild.objects.filter(owner=text), MAX_SHOWN)),
    )


def _newest(rows: QuerySet[ModuleBuild], count: int) -> QuerySet[ModuleBuild]:
    return rows.only(*_SHOWN).order_by("-id")[:count]


def _streams(text: str) -> Iterator[Hit]:
    """Yield streams of the module with this name, then of modules whose names begin with it."""
    name, *rest = text.split(":")
    if len(rest) > 2 or not name:
        return
    if rest:
        wanted = {"name": name} | ({"stream": rest[0]} if len(rest) > 1 else {})
        last = {f"{PARTS[len(rest)]}__startswith": rest[-1]}
        found: Iterable[ModuleBuild] = _newest(ModuleBuild.objects.filter(**wanted, **last), 10 * MAX_READ)
    else:
        found = (
            row
            for each in names_from(ModuleBuild, "name", name)
            for row in _newest(ModuleBuild.objects.filter(name=each), MAX_READ)
        )
    yield from _distinct((Hit(row, row.nsvc.ns), (row.name, row.stream)) for row in found)


def _components(text: str) -> Iterator[Hit]:
    """Yield components whose package has this name, then those whose names begin with it, by stream."""
    if ":" in text:
        return
    found = (
        row
        for each in names_from(ComponentBuild, "package", text)
        for row in _with_builds(ComponentBuild.objects.filter(package=each), "package")
    )
    yield from _distinct(
        (Hit(row.module_build, row.package), (row.package, row.module_build.name, row.module_build.stream))
        for row in found
    )


def names_from(model: type[Model], column: str, beginning: str, count: int = MAX_SHOWN) -> list[str]:
    """Return the first distinct values of a column that begin with a text, in order.

    PostgreSQL passes from each value to the next one in the index of beginnings (``varchar_pattern_ops``), so
    that it reads as many rows as it returns, however many have the same value.
    """
    quote = connection.ops.quote_name
    table, name = quote(model._meta.db_table), quote(column)
    if connection.vendor != "postgresql":
        values = model._default_manager.filter(**{f"{column}__startswith": beginning})
        return list(values.order_by(column).values_list(column, flat=True).distinct()[:count])
    # Only the quoted names of a model's table and column are inserted into the statement.
    first = f"SELECT {name} FROM {table} WHERE {name} LIKE %s"  # noqa: S608  (see above)
    order = f"ORDER BY {name} USING ~<~ LIMIT 1"
    pattern = re.sub(r"([\\%_])", r"\\\1", beginning) + "%"
    statement = (
        f"WITH RECURSIVE found(value) AS (({first} {order}) UNION ALL "  # noqa: S608  (see above)
        f"SELECT ({first} AND {name} ~>~ value {order}) FROM found WHERE value IS NOT NULL) "
        "SELECT value FROM found WHERE value IS NOT NULL LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [pattern, pattern, count])
        return [value for (value,) in cursor.fetchall()]


def _nvrs(text: str) -> Iterator[Hit]:
    nvr = text.removesuffix(".rpm").removesuffix(".src")
    for row in _with_builds(ComponentBuild.objects.filter(nvr=nvr), "nvr")[:MAX_SHOWN]:
        yield Hit(row.module_build, nvr)


def _commits(text: str) -> Iterator[Hit]:
    commit = text.lower()
    if not is_commit(commit):
        return
    for build in _newest(ModuleBuild.objects.filter(commits("commit", commit)), MAX_SHOWN):
        yield Hit(build, "its document")
    for row in _with_builds(ComponentBuild.objects.filter(commits("ref", commit)), "package")[:MAX_SHOWN]:
        yield Hit(row.module_build, row.package)


def _with_builds(rows: QuerySet[ComponentBuild], column: str) -> QuerySet[ComponentBuild]:
    """Return the newest components, each with what is shown of its module build."""
    of_build = [f"module_build__{name}" for name in _SHOWN]
    return (
        rows.select_related("module_build")
        .only(column, "module_build_id", *of_build)
        .order_by("-id")[:MAX_READ]
    )


def _distinct(hits: Iterable[tuple[Hit, tuple[str, ...]]]) -> Iterator[Hit]:
    """Yield the first hit for each key, at most ``MAX_SHOWN``."""
    seen: set[tuple[str, ...]] = set()
    for hit, key in hits:
        if key in seen:
            continue
        seen.add(key)
        yield hit
        if len(seen) == MAX_SHOWN:
            return
