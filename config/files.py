"""Configuration files: Python modules whose classes are sections.

A file is executed: it is trusted like the service's own code, and only who may change that code may
be able to write it.
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
class Given:
    """The value of an option, and the place it came from, for people."""

    value: Any
    source: str


def built_in(section: str) -> type:
    """The class of a built-in section.

    Raises:
        ConfigurationError: When there is none of this name.
    """
    if section not in sections.SECTIONS:
        raise ConfigurationError(
            f"There is no built-in section {section!r}.",
            hint=f"Set MBS_CONFIG_SECTION to one of {', '.join(sections.SECTIONS)}, "
            "or MBS_CONFIG_FILE to the file that has it.",
        )
    found: type = getattr(sections, sections.SECTIONS[section][0])
    return found


def read_section(path: str, section: str) -> type:
    """The class of ``section`` in the file at ``path``, which is executed.

    Raises:
        ConfigurationError: When the file cannot be read or run, or has no such class.
    """
    module = _run(path)
    for name in sections.SECTIONS.get(section, (section,)):
        if isinstance(found := vars(module).get(name), type):
            return found
    names = [name for name, value in vars(module).items() if isinstance(value, type)]
    raise ConfigurationError(
        f"{path} has no section {sections.SECTIONS.get(section, (section,))[0]}.",
        hint=f"It has {', '.join(names) or 'none'}: set MBS_CONFIG_SECTION to one of them, "
        "or MBS_CONFIG_FILE to nothing for the built-in sections.",
    )


def _run(path: str) -> ModuleType:
    module = ModuleType(_MODULE)
    module.__file__ = path
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The configuration file {path} cannot be read: {error.strerror}.",
            hint="MBS_CONFIG_FILE names another file, or, empty, none.",
        ) from error
    try:
        exec(compile(source, path, "exec", dont_inherit=True), vars(module))
    except Exception as error:
        raise _failed(path, error) from error
    return module


def _failed(path: str, error: Exception) -> ConfigurationError:
    """Points at the line of the file itself, however deep below it the error arose."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines = [error.lineno]
        error = SyntaxError(error.msg)
    where = f"{path}, line {lines[-1]}" if lines and lines[-1] else path
    return ConfigurationError(f"{where}: {type(error).__name__}: {error}")


def is_open_to_all(path: str) -> bool:
    """Whether every user of the machine could write it, and so run code as the service."""
    return bool(Path(path).stat().st_mode & stat.S_IWOTH)


def attributes(section: type, path: str | None) -> Iterator[tuple[str, Given]]:
    """The options that a section, read from ``path``, and the classes it inherits from set.

    Methods, classes, modules and private names are a file's own business.
    """
    for name in dir(section):
        value = getattr(section, name, None)
        if name.startswith("_") or isroutine(value) or isinstance(value, type | ModuleType | property):
            continue
        owner = next((cls for cls in section.__mro__ if name in vars(cls)), section)
        place = path if owner.__module__ == _MODULE else "built-in"
        yield name, Given(value, f"{place} {owner.__name__}")
