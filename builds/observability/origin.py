"""Remember by which interface the current request came (API, page, admin or command), for the audit list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

API, PAGE, ADMIN, COMMAND = "api", "page", "admin", "command"
#: Beginning of a path -> the interface.
_PATHS = (("/admin/", ADMIN), ("/module-build-service/", API))
_origin: ContextVar[str] = ContextVar("mbs_origin", default=COMMAND)


def current() -> str:
    """Return the interface of the current request; ``command`` without a request."""
    return _origin.get()


@contextmanager
def of_request(path: str) -> Iterator[None]:
    """Let ``current`` return the interface of a request within a ``with`` block.

    Args:
        path: Path of the request below the prefix of the service.
    """
    mark = _origin.set(next((origin for begin, origin in _PATHS if path.startswith(begin)), PAGE))
    try:
        yield
    finally:
        _origin.reset(mark)
