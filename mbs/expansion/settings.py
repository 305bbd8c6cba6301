"""What an operator configures and what a packager asks for, as far as stream expansion is concerned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mbs.contexts import stream_version


class Options(Protocol):
    """The service's configuration, by the names of its options."""

    @property
    def BASE_MODULE_NAMES(self) -> Sequence[str]: ...  # noqa: N802
    @property
    def BASE_MODULE_STREAM_EXCLUSIONS(self) -> Sequence[str]: ...  # noqa: N802
    @property
    def ALLOW_ONLY_COMPATIBLE_BASE_MODULES(self) -> bool: ...  # noqa: N802
    @property
    def STREAM_SUFFIXES(self) -> Mapping[str, float]: ...  # noqa: N802
    @property
    def BR_STREAM_OVERRIDE_MODULE(self) -> str: ...  # noqa: N802
    @property
    def BR_STREAM_OVERRIDE_REGEXES(self) -> Sequence[str]: ...  # noqa: N802
    @property
    def ALLOWED_PRIVILEGED_MODULE_NAMES(self) -> Sequence[str]: ...  # noqa: N802


@dataclass(frozen=True)
class Settings:
    """The configured part.

    Attributes:
        base_modules: Names of the modules that stand for a product, by precedence.
        excluded_base_streams: Base module streams that an open list does not stand for.
        only_compatible: Take modules made against compatible base modules only; else against any
            base module that shares a virtual stream, retired ones included.
        stream_suffixes: Regular expression -> what it adds to a stream version.
        branch_module: Module whose stream the name of the branch decides.
        branch_regexes: Regular expressions for the name of the branch; the groups of the first that
            is found make up the stream.
        privileged: Modules that may mark the dist tag of what is built against them, by precedence.
        max_combinations: Of one submission; more are refused.
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
        """Read them from the service's configuration."""
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
        """The stream version of a base module's stream; 0 takes no part in comparisons."""
        return stream_version(stream, suffixes=self.stream_suffixes) or 0.0

    def is_xyz(self, stream: str) -> bool:
        """Whether the stream names a minor release, such as ``el8.1.0``: ``f30`` and ``el8`` do not."""
        return (stream_version(stream, right_pad=False) or 0.0) >= 100


@dataclass(frozen=True)
class Request:
    """What the submission says besides the document.

    Attributes:
        buildrequire_overrides: Module name -> streams that replace the document's.
        require_overrides: The same for the runtime requires.
        branch: Name of the branch that the document comes from.
        default_streams: Module name -> the stream to take where there are several to choose from.
        local: A local build, which must not guess: several streams to choose from are an error.
    """

    buildrequire_overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    require_overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    branch: str = ""
    default_streams: Mapping[str, str] = field(default_factory=dict)
    local: bool = False
