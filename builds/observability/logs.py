"""The configuration of logging: formats of lines (option ``LOG_FORMAT``) and levels of loggers.

Every line includes the fields of ``builds.observability.log_context``.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from builds.observability import log_context
from mbs.text import printable

#: Packages of this service.
PACKAGES = ("mbs", "scm", "buildsys", "builds", "config")
#: Loggers of servers that install their own handlers; these are removed, so that all lines look alike.
SERVERS = ("uvicorn", "gunicorn.error")

#: Fields that libraries add to log records: Celery's repetition of the task, request objects, coloured text.
_DROPPED_FIELDS = ("data", "request", "color_message")


def configuration(level: str, form: str) -> dict[str, Any]:
    """Return Django's setting ``LOGGING``.

    Args:
        level: Lowest level of the lines of this service and of Celery that are logged.
        form: ``plain`` or ``json``.
    """
    formatters = {"plain": {"()": PlainFormatter}, "json": {"()": JsonLineFormatter}}
    level_of_service = {"level": level.upper()}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {form: formatters[form]},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            **dict.fromkeys((*PACKAGES, "celery"), level_of_service),
            **{name: {"handlers": [], "propagate": True, "level": "INFO"} for name in SERVERS},
            # ``builds.observability.requests`` logs requests, with their context.
            "uvicorn.access": {"level": "WARNING"},
            # It logs each task that arrives, in the main process; the line about its end is enough.
            "celery.worker.strategy": {"level": "WARNING"},
        },
    }


class PlainFormatter(logging.Formatter):
    """Format a line for people: the message, followed by its context."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s%(context)s")

    def formatException(self, ei: Any) -> str:  # noqa: N802  (the name of logging)
        """Return the traceback, with a mark before each line."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  (the name of logging)
        """Return the stack, with a mark before each line."""
        return _indented(super().formatStack(stack_info))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the name of logging)
        """Return the line, with control characters escaped and with the context."""
        # Lines contain untrusted text: addresses, names, responses of other services.
        record.message = printable(record.message, "\t")
        facts = log_context.current()
        shown = [f"{name} {fact}" for name, fact in facts.items() if name in ("build", "nsvc", "request_id")]
        record.context = printable(f"  [{', '.join(shown)}]") if shown else ""
        return super().formatMessage(record)


def _indented(trace: str) -> str:
    """Mark each line of a traceback, so that none looks like a line of the log."""
    keep = "\t"
    return "\n".join(f"  | {printable(line, keep)}" for line in trace.split("\n"))


class JsonLineFormatter(JsonFormatter):
    """Format a line as a JSON object: time (UTC), level, logger, message, context and ``extra`` fields."""

    def __init__(self) -> None:
        super().__init__("%(message)s", reserved_attrs=[*RESERVED_ATTRS, *_DROPPED_FIELDS])

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Add the time, level, logger and context to the fields of a line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        log_data.update(
            time=f"{moment}.{int(record.msecs):03}Z",
            level=record.levelname.lower(),
            logger=record.name,
            **log_context.current(),
        )
        super().add_fields(log_data, record, message_dict)
