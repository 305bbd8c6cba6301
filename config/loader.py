"""Finds the configuration, checks all of it, and says where each value came from."""

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
from config.describe import shown
from config.files import Given, attributes, built_in, is_open_to_all, read_section
from config.schema import Options
from config.secret import kept_key
from config.selection import DEFAULT_FILE, Selection, select
from mbs.errors import ConfigurationError, Problem

PREFIX = "MBS_"
_SELECTORS = ("MBS_CONFIG_FILE", "MBS_CONFIG_SECTION")
_FIELDS = Options.model_fields
#: A variable of the environment this like an option's name is a typing error; others are somebody else's
#: (a Kubernetes service named ``mbs`` alone brings seven that begin with MBS_).
_TYPING_ERROR = 0.85


@dataclass(frozen=True)
class Loaded:
    """The configuration, and how it came about.

    Attributes:
        section: Dev, test, prod, standalone, or the name of a class of the file.
        path: The file; None for a built-in section.
        sources: Option -> where its value came from, for people.
        warnings: What the file says that has another name here, or no meaning.
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
    """The configuration for this process: the section, with the variables ``MBS_<option>`` laid over it.

    Args:
        environ: The environment; ``os.environ`` when None.
        argv: The command line; ``sys.argv`` when None.
        default_file: The file that is taken when ``MBS_CONFIG_FILE`` is not set.

    Raises:
        ConfigurationError: Naming everything that is wrong at once.
    """
    environ = os.environ if environ is None else environ
    chosen = select(environ, sys.argv if argv is None else argv, default_file)
    try:
        return _load(chosen, environ)
    except ConfigurationError as error:
        if error.hint:  # a server or worker that does not start shows no more than the traceback
            error.add_note(error.hint)
        raise


def _load(chosen: Selection, environ: Mapping[str, str]) -> Loaded:
    draft = _Draft(chosen)
    section = read_section(chosen.path, chosen.section) if chosen.path else built_in(chosen.section)
    draft.take_section(section)
    if chosen.path and is_open_to_all(chosen.path):
        draft.warnings.append(f"{chosen.path} is executed, and every user may write it: chmod o-w it.")
    draft.take_environment(environ)
    if chosen.path is None and chosen.section != "prod" and "SECRET_KEY" not in draft.values:
        draft.keep_secret_key()
    return draft.checked()


@dataclass
class _Draft:
    """Values on their way to :class:`Options`, with what is to be said about them."""

    chosen: Selection
    values: dict[str, Given] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take_section(self, section: type) -> None:
        old: dict[str, tuple[str, Given]] = {}
        for attribute, given in attributes(section, self.chosen.path):
            name = attribute.upper()
            if name in _FIELDS:
                self._take(name, given)
            elif name in legacy.RENAMED:
                old[legacy.RENAMED[name]] = name, given
            elif (instead := legacy.replacement(name)) is not None:
                self.warnings.append(f"{name} ({given.source}) has no effect; in its place: {instead}.")
            elif attribute == name:
                self._unknown(name, given.source)
        for name, (old_name, given) in old.items():
            verdict = "is ignored, for that is set too" if name in self.values else "is taken for it"
            self.warnings.append(f"{old_name} ({given.source}) is now {name}; it {verdict}.")
            if name not in self.values:
                self._take(name, given)

    def take_environment(self, environ: Mapping[str, str]) -> None:
        for variable, text in sorted(environ.items()):
            name = variable.removeprefix(PREFIX)
            if name == variable or variable in _SELECTORS:
                continue
            if name in _FIELDS:
                self._take_text(name, Given(text, f"environment {variable}"))
            elif get_close_matches(name, _FIELDS, cutoff=_TYPING_ERROR):
                self._unknown(name, "environment", prefix=PREFIX)

    def keep_secret_key(self) -> None:
        given = self.values.get("DATA_DIR")
        folder = given.value if given else _FIELDS["DATA_DIR"].default
        if not str(folder).strip():  # refused below
            return
        self.values["SECRET_KEY"] = Given(kept_key(Path(folder)), "made and kept in DATA_DIR")

    def checked(self) -> Loaded:
        """
        Raises:
            ConfigurationError: When anything was wrong.
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
                "AUTH_METHOD is 'kerberos', and LDAP_URI and LDAP_GROUPS_DN are not both set: "
                "the groups of users are not known, and only ALLOWED_USERS may submit."
            )

    def _take(self, name: str, given: Given) -> None:
        if given.value is None:  # the reference's way to say: as if it were not there
            return
        value = legacy.modern_value(name, given.value)
        if value is not given.value:
            self.warnings.append(f"{name} = {given.value!r} ({given.source}) is now {value!r}.")
        self.values[name] = Given(value, given.source)

    def _take_text(self, name: str, given: Given) -> None:
        """Lists and mappings are written as JSON, everything else as it is."""
        if not _is_container(name):
            self._take(name, given)
            return
        try:
            self._take(name, Given(json.loads(given.value), given.source))
        except ValueError as error:
            message = f"{name} = {shown(name, given.value)} ({given.source}): it must be JSON: {error}"
            self.problems.append(Problem("wrong_value", message, key=name))

    def _unknown(self, name: str, source: str, prefix: str = "") -> None:
        near = get_close_matches(name, _FIELDS, n=1)
        self.problems.append(
            Problem(
                "unknown_option",
                f"{prefix}{name} ({source}) is no option",
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
        # A default may be wrong too, where another option asks for more.
        given = self.values.get(name) or Given(fault["input"], "default")
        at = "".join(f"[{part!r}]" for part in inner if part != "[key]")
        message = f"{name}{at} = {shown(name, fault['input'])} ({given.source}): {_expected(fault['msg'])}"
        return Problem("wrong_value", message, key=name)

    def _error(self) -> ConfigurationError:
        lines = ["; ".join(filter(None, (problem.message, problem.hint))) for problem in self.problems]
        if len(lines) == 1:
            return ConfigurationError(f"The configuration is wrong: {lines[0]}", problems=self.problems)
        text = "".join(f"\n  {line}" for line in lines)
        return ConfigurationError(f"The configuration has {len(lines)} faults:{text}", problems=self.problems)


def _is_container(name: str) -> bool:
    origin = get_origin(_FIELDS[name].annotation)
    return isinstance(origin, type) and issubclass(origin, tuple | frozenset | Mapping)


def _expected(message: str) -> str:
    """Pydantic's words, made to follow the name of an option."""
    message = message.removeprefix("Value error, ")
    subject, should, rest = message.partition(" should ")
    return f"it must {rest}" if should and " " not in subject else message
