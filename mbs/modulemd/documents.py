"""Data classes for the kinds of modulemd documents.

Lists of names are sets in the specification, so they are sorted and without duplicates. A missing text is
None, except that missing parts of the NSVC and ``arch`` are empty texts.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

#: Nested mappings, lists and texts; usually a mapping.
Xmd: TypeAlias = Any


@dataclass
class RpmComponent:
    """A package that the module builds.

    Attributes:
        name: Name of the package; by default its key in ``components.rpms``.
        buildorder: -2**63 to 2**63-1; packages with the same value are built together.
        buildafter: Keys (not names) of components that must be built before.
    """

    name: str
    rationale: str | None = None
    repository: str | None = None
    cache: str | None = None
    ref: str | None = None
    buildroot: bool = False
    srpm_buildroot: bool = False
    buildonly: bool = False
    buildorder: int = 0
    buildafter: list[str] = field(default_factory=list)
    arches: list[str] = field(default_factory=list)
    multilib: list[str] = field(default_factory=list)


@dataclass
class ModuleComponent:
    """A module whose components are built as part of this one."""

    name: str
    rationale: str | None = None
    repository: str | None = None
    ref: str | None = None
    buildonly: bool = False
    buildorder: int = 0


@dataclass
class Dependencies:
    """Module name -> streams. An empty list allows every stream, ``-f28`` every stream but f28."""

    buildrequires: dict[str, list[str]] = field(default_factory=dict)
    requires: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Profile:
    """Packages for one use of the module.

    Attributes:
        default: Whether the profile is installed if none is chosen (packager documents).
    """

    rpms: list[str] = field(default_factory=list)
    description: str | None = None
    default: bool = False


@dataclass
class Buildopts:
    """Options for all components of the module."""

    rpm_macros: str | None = None
    rpm_whitelist: list[str] = field(default_factory=list)
    arches: list[str] = field(default_factory=list)


@dataclass
class RpmMapEntry:
    """An artifact, listed by the checksum of its file."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str

    @property
    def nevra(self) -> str:
        """Name-epoch:version-release.arch."""
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"


@dataclass(kw_only=True)
class Content:
    """Fields of stream and packager documents."""

    name: str = ""
    stream: str = ""
    summary: str = ""
    description: str = ""
    module_licenses: list[str] = field(default_factory=list)
    xmd: Xmd = field(default_factory=dict)
    community: str | None = None
    documentation: str | None = None
    tracker: str | None = None
    profiles: dict[str, Profile] = field(default_factory=dict)
    api_rpms: list[str] = field(default_factory=list)
    filter_rpms: list[str] = field(default_factory=list)
    demodularized_rpms: list[str] = field(default_factory=list)
    rpm_components: dict[str, RpmComponent] = field(default_factory=dict)
    module_components: dict[str, ModuleComponent] = field(default_factory=dict)

    def shared(self) -> dict[str, Any]:
        """Return the fields of this class, to construct another kind of document."""
        return {each.name: getattr(self, each.name) for each in fields(Content)}

    @property
    def mbs(self) -> dict[str, Any]:
        """``xmd.mbs``, the notes of the service; an empty mapping (not part of ``xmd``) if there are none."""
        notes = self.xmd.get("mbs") if isinstance(self.xmd, dict) else None
        return notes if isinstance(notes, dict) else {}


@dataclass(kw_only=True)
class Stream(Content):
    """Fields of both versions of stream documents.

    Attributes:
        version: 64-bit unsigned; None if the service has to choose one.
        servicelevels: Name -> its last day, if known.
    """

    version: int | None = None
    context: str = ""
    arch: str = ""
    content_licenses: list[str] = field(default_factory=list)
    servicelevels: dict[str, datetime.date | None] = field(default_factory=dict)
    buildopts: Buildopts = field(default_factory=Buildopts)
    artifact_rpms: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class StreamV1(Stream):
    """modulemd v1: each dependency names one stream."""

    document: ClassVar[str] = "modulemd"
    document_version: ClassVar[int] = 1
    buildrequires: dict[str, str] = field(default_factory=dict)
    requires: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class StreamV2(Stream):
    """modulemd v2, to which all other stream documents are converted.

    Attributes:
        static_context: Whether the author chose the context; otherwise it is computed.
        rpm_map: Digest type -> checksum -> artifact.
    """

    document: ClassVar[str] = "modulemd"
    document_version: ClassVar[int] = 2
    static_context: bool = False
    dependencies: list[Dependencies] = field(default_factory=list)
    rpm_map: dict[str, dict[str, RpmMapEntry]] = field(default_factory=dict)


@dataclass(kw_only=True)
class PackagerV2(Content):
    """modulemd-packager v2: the fields of a v2 stream that a packager writes."""

    document: ClassVar[str] = "modulemd-packager"
    document_version: ClassVar[int] = 2
    static_context: bool = False
    dependencies: list[Dependencies] = field(default_factory=list)


@dataclass
class Configuration:
    """One build of a packager v3 document, with one stream for each module."""

    context: str
    platform: str
    buildrequires: dict[str, str] = field(default_factory=dict)
    requires: dict[str, str] = field(default_factory=dict)
    buildopts: Buildopts = field(default_factory=Buildopts)


@dataclass(kw_only=True)
class PackagerV3(Content):
    """modulemd-packager v3: one build for each configuration."""

    document: ClassVar[str] = "modulemd-packager"
    document_version: ClassVar[int] = 3
    configurations: list[Configuration] = field(default_factory=list)


@dataclass
class Intent:
    """Default stream and profiles for systems of one purpose."""

    stream: str | None = None
    profiles: dict[str, list[str]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Defaults:
    """modulemd-defaults v1: a module's default stream, and the default profiles of its streams."""

    document: ClassVar[str] = "modulemd-defaults"
    document_version: ClassVar[int] = 1
    module: str
    modified: int = 0
    stream: str | None = None
    profiles: dict[str, list[str]] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)


@dataclass(kw_only=True)
class Obsoletes:
    """modulemd-obsoletes v1: a stream ends or is replaced by another. Times are in UTC."""

    document: ClassVar[str] = "modulemd-obsoletes"
    document_version: ClassVar[int] = 1
    modified: datetime.datetime
    module: str
    stream: str
    message: str
    context: str | None = None
    reset: bool = False
    eol_date: datetime.datetime | None = None
    obsoleted_by_module: str | None = None
    obsoleted_by_stream: str | None = None


@dataclass(kw_only=True)
class Translations:
    """modulemd-translations v1: recognized, but not used.

    Attributes:
        data: The content of the document; all scalars are text.
    """

    document: ClassVar[str] = "modulemd-translations"
    document_version: ClassVar[int] = 1
    data: Xmd

    @property
    def module(self) -> str:
        """Name of the module, or an empty text."""
        return self._text("module")

    @property
    def stream(self) -> str:
        """Name of the stream, or an empty text."""
        return self._text("stream")

    def _text(self, key: str) -> str:
        value = self.data.get(key) if isinstance(self.data, dict) else None
        return value if isinstance(value, str) else ""


Document: TypeAlias = StreamV1 | StreamV2 | PackagerV2 | PackagerV3 | Defaults | Obsoletes | Translations
