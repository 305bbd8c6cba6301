"""Read configuration files: Python modules whose classes are sections.

Files are executed, so they are trusted like the service's own code.
"""

from __future__ import annotations

import stat
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import isroutine
from pathlib import Path
from types import ModuleType
from typing import Any

from config import sections
from mbs.errors import ConfigurationError

_MODULE = "mbs_runtime_config"


@dataclass(frozen=True)
class SourcedValue:
    """The value of an option, and its source for messages."""

    value: Any
    source: str


def built_in(section: str) -> type:
    """Return the class of a built-in section.

    Raises:
        ConfigurationError: There is no such section.
    """
    if section not in sections.SECTIONS:
        raise ConfigurationError(
            f"There is no built-in section {section!r}.",
            hint=f"Set MBS_CONFIG_SECTION to one of {', '.join(sections.SECTIONS)}, "
            "or MBS_CONFIG_FILE to the file that contains the section.",
        )
    found: type = getattr(sections, sections.SECTIONS[section][0])
    return found


def read_section(path: str, section: str) -> type:
    """Execute the file at ``path``, and return its class for ``section``.

    Raises:
        ConfigurationError: The file cannot be read or run, or has no such class.
    """
    module = _run(path)
    for name in sections.SECTIONS.get(section, (section,)):
        if isinstance(found := vars(module).get(name), type):
            return found
    names = [name for name, value in vars(module).items() if isinstance(value, type)]
    raise ConfigurationError(
        f"{path} has no section {sections.SECTIONS.get(section, (section,))[0]}.",
        hint=f"Its sections: {', '.join(names) or 'none'}. Set MBS_CONFIG_SECTION to one of them, "
        "or set MBS_CONFIG_FILE to an empty text for the built-in sections.",
    )


def _run(path: str) -> ModuleType:
    module = ModuleType(_MODULE)
    module.__file__ = path
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The configuration file {path} cannot be read: {error.strerror}.",
            hint="Set MBS_CONFIG_FILE to another file, or to an empty text for the built-in sections.",
        ) from error
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102  (the operator's configuration is a Python program)
    except Exception as error:
        raise _failed(path, error) from error
    return module


def _failed(path: str, error: Exception) -> ConfigurationError:
    """Return an error that names the line in the file itself, even if a module that it imports failed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines = [error.lineno]
        error = SyntaxError(error.msg)
    where = f"{path}, line {lines[-1]}" if lines and lines[-1] else path
    return ConfigurationError(f"{where}: {type(error).__name__}: {error}")


def is_open_to_all(path: str) -> bool:
    """Return whether every user of the machine may write the file, and so run code as the service."""
    return bool(Path(path).stat().st_mode & stat.S_IWOTH)


def attributes(section: type, path: str | None) -> Iterator[tuple[str, SourcedValue]]:
    """Yield the options that a section and its base classes set.

    Methods, classes, modules and private names are skipped.

    Args:
        path: The file that the section was read from; None for a built-in section.
    """
    for name in dir(section):
        value = getattr(section, name, None)
        if name.startswith("_") or isroutine(value) or isinstance(value, type | ModuleType | property):
            continue
        owner = next((cls for cls in section.__mro__ if name in vars(cls)), section)
        place = path if owner.__module__ == _MODULE else "built-in"
        yield name, SourcedValue(value, f"{place} {owner.__name__}")
