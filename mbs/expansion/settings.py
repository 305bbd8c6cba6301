"""The configuration and the request that an expansion depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mbs.contexts import stream_version


class Options(Protocol):
    """The options of the service's configuration."""

    @property
    def BASE_MODULE_NAMES(self) -> Sequence[str]:
        """Names of base modules."""

    @property
    def BASE_MODULE_STREAM_EXCLUSIONS(self) -> Sequence[str]:
        """Base module streams that open lists exclude."""

    @property
    def ALLOW_ONLY_COMPATIBLE_BASE_MODULES(self) -> bool:
        """Whether only modules of compatible base modules are used."""

    @property
    def STREAM_SUFFIXES(self) -> Mapping[str, float]:
        """Regular expression of a stream -> number that is added to its stream version."""

    @property
    def BR_STREAM_OVERRIDE_MODULE(self) -> str:
        """Module whose stream the name of the branch determines."""

    @property
    def BR_STREAM_OVERRIDE_REGEXES(self) -> Sequence[str]:
        """Regular expressions for names of branches, whose groups form that stream."""

    @property
    def ALLOWED_PRIVILEGED_MODULE_NAMES(self) -> Sequence[str]:
        """Modules that may mark the dist tag."""


@dataclass(frozen=True)
class Settings:
    """The configuration.

    Attributes:
        base_modules: Names of base modules, by precedence.
        excluded_base_streams: Base module streams that open lists exclude.
        only_compatible: Use only modules that were built against a compatible base module. Otherwise any
            base module with a common virtual stream is accepted, including retired ones.
        stream_suffixes: Regular expression -> number to add to a stream version.
        branch_module: Module whose stream the branch's name decides.
        branch_regexes: Regular expressions for names of branches. The groups of the first that matches form
            the stream.
        privileged: Modules that may mark the dist tag of modules built against them, by precedence.
        max_combinations: Max combinations of one submission.
    """

    base_modules: tuple[str, ...] = ("platform",)
    excluded_base_streams: tuple[str, ...] = ()
    only_compatible: bool = True
    stream_suffixes: Mapping[str, float] = field(default_factory=dict)
    branch_module: str = "platform"
    branch_regexes: tuple[str, ...] = ()
    privileged: tuple[str, ...] = ()
    max_combinations: int = 1000

    @classmethod
    def from_options(cls, options: Options) -> Settings:
        """Read the settings from the service's configuration."""
        return cls(
            base_modules=tuple(options.BASE_MODULE_NAMES),
            excluded_base_streams=tuple(options.BASE_MODULE_STREAM_EXCLUSIONS),
            only_compatible=options.ALLOW_ONLY_COMPATIBLE_BASE_MODULES,
            stream_suffixes=dict(options.STREAM_SUFFIXES),
            branch_module=options.BR_STREAM_OVERRIDE_MODULE,
            branch_regexes=tuple(options.BR_STREAM_OVERRIDE_REGEXES),
            privileged=tuple(options.ALLOWED_PRIVILEGED_MODULE_NAMES),
        )

    def number(self, stream: str) -> float:
        """Return the number by which a base module's stream is compared; 0 if it has none."""
        return stream_version(stream, suffixes=self.stream_suffixes) or 0.0

    def is_xyz(self, stream: str) -> bool:
        """Return whether a stream names a minor release, like ``el8.1.0`` and unlike ``f30`` and ``el8``."""
        return (stream_version(stream, right_pad=False) or 0.0) >= 100


@dataclass(frozen=True)
class Request:
    """The part of a submission besides the document.

    Attributes:
        buildrequire_overrides: Module name -> streams that replace those of the document's buildrequires.
        require_overrides: The same for its requires.
        branch: Name of the branch that the document comes from.
        default_streams: Module name -> the stream to choose if there are several.
        local: Refuse several streams to choose from, as local builds of MBS 3.9.2 do.
    """

    buildrequire_overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    require_overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    branch: str = ""
    default_streams: Mapping[str, str] = field(default_factory=dict)
    local: bool = False
