"""Find the configuration, validate all of it, and record the source of each value."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError

from config import legacy
from config.describe import masked_repr
from config.files import SourcedValue, attributes, built_in, is_open_to_all, read_section
from config.schema import Options
from config.secret import load_or_create_key
from config.selection import DEFAULT_FILE, Selection, select
from mbs.errors import ConfigurationError, Problem

PREFIX = "MBS_"
_SELECTORS = ("MBS_CONFIG_FILE", "MBS_CONFIG_SECTION")
_FIELDS = Options.model_fields
#: Environment variables that are this similar to an option are typing errors. Others belong to other
#: software: Kubernetes sets seven that begin with MBS_ for a service named ``mbs``.
_TYPING_ERROR = 0.85


@dataclass(frozen=True)
class Loaded:
    """The configuration, and its sources.

    Attributes:
        section: dev, test, prod, standalone, or the name of a class in the file.
        path: The file; None for a built-in section.
        sources: Option -> the source of its value, for messages.
        warnings: Renamed and removed options in the file.
    """

    options: Options
    section: str
    path: str | None
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def load(
    environ: Mapping[str, str] | None = None,
    argv: Sequence[str] | None = None,
    *,
    default_file: str = DEFAULT_FILE,
) -> Loaded:
    """Return the configuration of this process: the section, overridden by ``MBS_<option>`` variables.

    Args:
        environ: The environment; ``os.environ`` if None.
        argv: The command line; ``sys.argv`` if None.
        default_file: The file to use if ``MBS_CONFIG_FILE`` is not set.

    Raises:
        ConfigurationError: The configuration is not valid. The error names everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    chosen = select(environ, sys.argv if argv is None else argv, default_file)
    try:
        return _load(chosen, environ)
    except ConfigurationError as error:
        if error.hint:  # a server that fails to start only prints the traceback, which includes notes
            error.add_note(error.hint)
        raise


def _load(chosen: Selection, environ: Mapping[str, str]) -> Loaded:
    draft = _Draft(chosen)
    section = read_section(chosen.path, chosen.section) if chosen.path else built_in(chosen.section)
    draft.take_section(section)
    if chosen.path and is_open_to_all(chosen.path):
        draft.warnings.append(
            f"Every user may write {chosen.path}, which the service executes. Run: chmod o-w {chosen.path}"
        )
    draft.take_environment(environ)
    if chosen.path is None and chosen.section != "prod" and "SECRET_KEY" not in draft.values:
        draft.keep_secret_key()
    return draft.checked()


@dataclass
class _Draft:
    """Values before validation, with warnings and problems."""

    chosen: Selection
    values: dict[str, SourcedValue] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take_section(self, section: type) -> None:
        """Add the options of a section."""
        old: dict[str, tuple[str, SourcedValue]] = {}
        for attribute, given in attributes(section, self.chosen.path):
            name = attribute.upper()
            if name in _FIELDS:
                self._take(name, given)
            elif name in legacy.RENAMED:
                old[legacy.RENAMED[name]] = name, given
            elif (instead := legacy.replacement(name)) is not None:
                self.warnings.append(f"{name} ({given.source}) has no effect. Replacement: {instead}.")
            elif attribute == name:
                self._unknown(name, given.source)
        for name, (old_name, given) in old.items():
            verdict = f"ignored, since {name} is set too" if name in self.values else "used"
            self.warnings.append(f"{old_name} ({given.source}) is now called {name}. Its value is {verdict}.")
            if name not in self.values:
                self._take(name, given)

    def take_environment(self, environ: Mapping[str, str]) -> None:
        """Add the options in environment variables."""
        for variable, text in sorted(environ.items()):
            name = variable.removeprefix(PREFIX)
            if name == variable or variable in _SELECTORS:
                continue
            if name in _FIELDS:
                self._take_text(name, SourcedValue(text, f"environment {variable}"))
            elif get_close_matches(name, _FIELDS, cutoff=_TYPING_ERROR):
                self._unknown(name, "environment", prefix=PREFIX)

    def keep_secret_key(self) -> None:
        """Use the secret key in DATA_DIR, which is created if needed."""
        given = self.values.get("DATA_DIR")
        folder = given.value if given else _FIELDS["DATA_DIR"].default
        if not str(folder).strip():  # the validation refuses it
            return
        self.values["SECRET_KEY"] = SourcedValue(
            load_or_create_key(Path(folder)), "generated, stored in DATA_DIR"
        )

    def checked(self) -> Loaded:
        """Validate the values, and return the configuration.

        Raises:
            ConfigurationError: There are problems.
        """
        options = None
        try:
            options = Options.model_validate({name: given.value for name, given in self.values.items()})
        except ValidationError as error:
            self.problems += [self._wrong(fault) for fault in error.errors(include_url=False)]
        if options is None or self.problems:
            raise self._error()
        self._warn_of_unknown_groups(options)
        sources = {name: self.values[name].source if name in self.values else "default" for name in _FIELDS}
        return Loaded(options, self.chosen.section, self.chosen.path, sources, tuple(self.warnings))

    def _warn_of_unknown_groups(self, options: Options) -> None:
        by_kerberos = options.AUTH_METHOD == "kerberos" and not options.NO_AUTH
        if by_kerberos and not (options.LDAP_URI and options.LDAP_GROUPS_DN):
            self.warnings.append(
                "AUTH_METHOD is 'kerberos', but LDAP_URI and LDAP_GROUPS_DN are not both set. "
                "Groups of users are unknown, so only ALLOWED_USERS may submit."
            )

    def _take(self, name: str, given: SourcedValue) -> None:
        if given.value is None:  # in MBS 3.9.2, None means: not set
            return
        value = legacy.modern_value(name, given.value)
        if value is not given.value:
            self.warnings.append(f"{name} = {given.value!r} ({given.source}) is now called {value!r}.")
        self.values[name] = SourcedValue(value, given.source)

    def _take_text(self, name: str, given: SourcedValue) -> None:
        """Add a value in an environment variable: JSON for lists and mappings, plain text for other types."""
        if not _is_container(name):
            self._take(name, given)
            return
        try:
            self._take(name, SourcedValue(json.loads(given.value), given.source))
        except ValueError as error:
            message = f"{name} = {masked_repr(name, given.value)} ({given.source}): it must be JSON: {error}"
            self.problems.append(Problem("wrong_value", message, key=name))

    def _unknown(self, name: str, source: str, prefix: str = "") -> None:
        near = get_close_matches(name, _FIELDS, n=1)
        self.problems.append(
            Problem(
                "unknown_option",
                f"{prefix}{name} ({source}) is not an option",
                key=name,
                hint=f"did you mean {prefix}{near[0]}?" if near else "`mbs-manager config` lists them all.",
            )
        )

    def _wrong(self, fault: Mapping[str, Any]) -> Problem:
        name, *inner = fault["loc"]
        if fault["type"] == "missing":
            place = f"{self.chosen.path or DEFAULT_FILE} or as {PREFIX}{name} in the environment"
            hint = f"set it in {place}: {_FIELDS[name].description}"
            return Problem("missing_option", f"{name} is not set", key=name, hint=hint)
        # A default can be invalid too, in combination with another option.
        given = self.values.get(name) or SourcedValue(fault["input"], "default")
        at = "".join(f"[{part!r}]" for part in inner if part != "[key]")
        message = (
            f"{name}{at} = {masked_repr(name, fault['input'])} ({given.source}): {_expected(fault['msg'])}"
        )
        return Problem("wrong_value", message, key=name)

    def _error(self) -> ConfigurationError:
        lines = ["; ".join(filter(None, (problem.message, problem.hint))) for problem in self.problems]
        if len(lines) == 1:
            return ConfigurationError(f"The configuration is not valid: {lines[0]}", problems=self.problems)
        text = "".join(f"\n  {line}" for line in lines)
        return ConfigurationError(f"The configuration has {len(lines)} errors:{text}", problems=self.problems)


def _is_container(name: str) -> bool:
    origin = get_origin(_FIELDS[name].annotation)
    return isinstance(origin, type) and issubclass(origin, tuple | frozenset | Mapping)


def _expected(message: str) -> str:
    """Return pydantic's message as a clause that can follow the name of an option."""
    message = message.removeprefix("Value error, ")
    subject, should, rest = message.partition(" should ")
    return f"it must {rest}" if should and " " not in subject else message
