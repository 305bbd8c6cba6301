"""How a line of the log looks (the option ``LOG_FORMAT``), and which logger says how much.

Every line carries what ``builds.observability.log_context`` knows at the moment it is written.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from builds.observability import log_context
from mbs.text import printable

#: the packages of this service
OURS = ("mbs", "scm", "buildsys", "builds", "config")
#: servers that bring handlers of their own: one stream in one format is better
SERVERS = ("uvicorn", "gunicorn.error")

#: what libraries attach to their lines: a task named twice, a request as Python sees it, colours
_DROPPED_FIELDS = ("data", "request", "color_message")


def configuration(level: str, form: str) -> dict[str, Any]:
    """The setting ``LOGGING``.

    :param level: least important messages of this service's own packages, Celery's and the servers'.
    :param form: ``plain`` or ``json``.
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
            **dict.fromkeys((*OURS, "celery"), level_of_service),
            **{name: {"handlers": [], "propagate": True, "level": "INFO"} for name in SERVERS},
            # Of requests ``builds.observability.requests`` says what matters, with their context.
            "uvicorn.access": {"level": "WARNING"},
            # The main process logs that a task arrived; the log line about its end is enough.
            "celery.worker.strategy": {"level": "WARNING"},
        },
    }


class PlainFormatter(logging.Formatter):
    """A line for people: the message, and behind it what it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s%(context)s")

    def formatException(self, ei: Any) -> str:  # noqa: N802  (the name of logging)
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  (the name of logging)
        return _indented(super().formatStack(stack_info))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the name of logging)
        # Lines hold strangers' texts: addresses, names, what other services say.
        record.message = printable(record.message, "\t")
        facts = log_context.current()
        # What is in the message already is not repeated.
        shown = [f"{name} {fact}" for name, fact in facts.items() if name in ("build", "nsvc", "request_id")]
        record.context = printable(f"  [{', '.join(shown)}]") if shown else ""
        return super().formatMessage(record)


def _indented(trace: str) -> str:
    """The lines of a trace, none of which can be taken for a line of the log."""
    keep = "\t"
    return "\n".join(f"  | {printable(line, keep)}" for line in trace.split("\n"))


class JsonLineFormatter(JsonFormatter):
    """A JSON object on one line: time (UTC), level, logger, message, context, and what ``extra`` brought."""

    def __init__(self) -> None:
        super().__init__("%(message)s", reserved_attrs=[*RESERVED_ATTRS, *_DROPPED_FIELDS])

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        log_data.update(
            time=f"{moment}.{int(record.msecs):03}Z",
            level=record.levelname.lower(),
            logger=record.name,
            **log_context.current(),
        )
        super().add_fields(log_data, record, message_dict)
