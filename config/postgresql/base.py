"""Django's PostgreSQL, asking less often whether a connection still lives."""

from __future__ import annotations

import time
from typing import Any

from django.db.backends.postgresql import base

#: seconds for which a connection that lived is taken to live on
TRUSTED = 1.0


class DatabaseWrapper(base.DatabaseWrapper):
    """``CONN_HEALTH_CHECKS`` costs a statement in every request; here it costs one a second at most.

    A connection that was lost within that second ends its request with an error, as one that is lost in
    the middle of a request does anyway.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trusted_until = 0.0

    def close_if_health_check_failed(self) -> None:
        if self.health_check_done:
            return
        if time.monotonic() >= self.trusted_until:
            super().close_if_health_check_failed()
            self.trusted_until = time.monotonic() + TRUSTED
        # Not once more in this request: at the end of a transaction the question would begin another.
        self.health_check_done = True
