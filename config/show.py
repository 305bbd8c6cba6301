"""Options as people see them: secrets masked, in a table, as JSON, or as a page of the documentation."""

from __future__ import annotations

from typing import Any

from config.schema import Options
from config.types import Masked

_LONGEST = 200


def masked(name: str, value: Any) -> Any:
    """The value of an option without what must stay secret in it."""
    marks = [mark for mark in Options.model_fields[name].metadata if isinstance(mark, Masked)]
    return marks[0].show(value if isinstance(value, str) else "") if marks and value else value


def shown(name: str, value: Any) -> str:
    """A value in a message: masked, and not endlessly long."""
    text = repr(masked(name, value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
