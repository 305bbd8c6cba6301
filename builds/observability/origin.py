"""The interface through which the present request came, for the audit list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

API, PAGE, ADMIN, COMMAND = "api", "page", "admin", "command"
#: Beginning of a path -> the interface.
_PATHS = (("/admin/", ADMIN), ("/module-build-service/", API))
_origin: ContextVar[str] = ContextVar("mbs_origin", default=COMMAND)


def current() -> str:
    """Return the interface; without a request, it is a command."""
    return _origin.get()


@contextmanager
def of_request(path: str) -> Iterator[None]:
    """Set the interface of a request within a ``with`` block.

    Args:
        path: Path of the request below the prefix of the service.
    """
    mark = _origin.set(next((origin for begin, origin in _PATHS if path.startswith(begin)), PAGE))
    try:
        yield
    finally:
        _origin.reset(mark)
