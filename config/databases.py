"""Convert DATABASE_URL to Django's database settings."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from mbs.errors import ConfigurationError

#: libpq parameters: if the network drops packets, the kernel detects a lost server within 11 s.
_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}


def database(url: str, answer_timeout: float | None = None) -> dict[str, Any]:
    """Return the entry of ``DATABASES`` for an address.

    Args:
        url: ``postgresql://user:password@host:port/name?option=value`` or ``sqlite:///path``.
        answer_timeout: Seconds within which PostgreSQL must answer (``config.postgresql``); None: no limit.

    Raises:
        ConfigurationError: The scheme is not supported.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        _make_private(Path(unquote(parts.path)[1:]))
        # SQLite has no row locks, so every transaction takes the write lock when it begins.
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path)[1:],
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    if parts.scheme in ("postgresql", "postgres"):
        return {
            "ENGINE": "config.postgresql",
            "NAME": unquote(parts.path)[1:],
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 600,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {**_KEEPALIVES, **dict(parse_qsl(parts.query)), "answer_timeout": answer_timeout},
        }
    raise ConfigurationError(
        f"DATABASE_URL has the unknown scheme {parts.scheme!r}.",
        hint="Use postgresql://user:password@host/name or sqlite:////absolute/path.",
    )


def _make_private(path: Path) -> None:
    """Create the file if needed, and hide it from other users. SQLite's extra files get the same mode."""
    if str(path) == ":memory:":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with suppress(FileNotFoundError, PermissionError):  # a file of another user keeps its mode
            each.chmod(each.stat().st_mode & ~0o077)
