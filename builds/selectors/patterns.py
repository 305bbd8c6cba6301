"""Find modules by names with wildcards."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import CharField, Lookup, Q

from mbs.errors import InvalidInput

#: Wildcards of a pattern: each may cost the database another pass over a name.
MAX_WILDCARDS = 4
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+*?-]{0,127}|\*")
_COLUMNS = ("name", "stream", "version")


@CharField.register_lookup
class Glob(Lookup):
    """``column__glob="perl-*"``: ``*`` matches any characters, ``?`` one."""

    lookup_name = "glob"
    prepare_rhs = False

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Return the condition for PostgreSQL."""
        column, params = self.process_lhs(compiler, connection)
        plain = str(self.rhs).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} LIKE %s", [*params, plain.replace("*", "%").replace("?", "_")]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Return the condition for SQLite."""
        column, params = self.process_lhs(compiler, connection)
        return f"{column} GLOB %s", [*params, str(self.rhs).replace("[", "[[]")]


def matching(pattern: str) -> Q:
    """Return the condition that a module build fits ``name[:stream[:version]]`` with wildcards.

    The name must begin with a character of its own, so that an index leads to it.

    Raises:
        InvalidInput: The pattern has another form.
    """
    parts = pattern.split(":")
    if (
        len(parts) > len(_COLUMNS)
        or not all(_PART.fullmatch(part) for part in parts)
        or parts[0] == "*"
        or sum(map(pattern.count, "*?")) > MAX_WILDCARDS
    ):
        raise InvalidInput(
            f"{pattern[:80]!r} is no pattern for modules.",
            code="invalid_pattern",
            hint="Write name[:stream[:version]], as in 'perl-*:5.3?'. A name begins with a letter or digit; "
            f"at most {MAX_WILDCARDS} wildcards are allowed.",
        )
    wanted = {}
    for column, part in zip(_COLUMNS, parts, strict=False):
        wanted[f"{column}__glob" if set(part) & {"*", "?"} else column] = part
    return Q(**wanted)
