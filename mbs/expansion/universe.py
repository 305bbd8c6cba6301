"""The module builds that a module can be built against, and the interface to look them up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from mbs import names
from mbs.nsvc import NSVC

#: Name and stream of a module.
NameStream: TypeAlias = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Available:
    """A module build that a module can be built against, compared by identity.

    Attributes:
        version: A number, so that versions compare correctly.
        requires: For each dependency list of the document: module name -> streams as written. One of the
            lists must be satisfied.
        built_against: Module name -> stream, from ``xmd.mbs.buildrequires``, at least for the base module.
        virtual_streams: ``xmd.mbs.virtual_streams`` of a base module.
        koji_tag: Empty for a module without packages.
        ref: The commit that it was built from (``xmd.mbs.commit``).
        retired: A base module in state garbage.
        disttag_marking: ``xmd.mbs.disttag_marking``.
    """

    name: str
    stream: str
    version: int
    context: str
    requires: tuple[Mapping[str, Sequence[str]], ...] = ()
    built_against: Mapping[str, str] = field(default_factory=dict)
    virtual_streams: tuple[str, ...] = ()
    koji_tag: str = ""
    ref: str = ""
    retired: bool = False
    disttag_marking: str = ""

    @property
    def ns(self) -> str:
        """Name and stream."""
        return f"{self.name}:{self.stream}"

    @property
    def nsvc(self) -> NSVC:
        """Name, stream, version and context."""
        return NSVC(self.name, self.stream, str(self.version), self.context)

    def fault(self) -> str:
        """Return why nothing can be built against it, or an empty text.

        Its names become part of tags and dist tags, so they must follow ``mbs.names``.
        """
        parts = (
            (names.NAME, self.name),
            (names.STREAM, self.stream),
            (names.CONTEXT, self.context),
            (names.KOJI_TAG, self.koji_tag or "none"),
            (names.COMMIT, self.ref or "none"),
            (names.MARKING, self.disttag_marking or "none"),
        )
        return next(filter(None, (rule.fault(text) for rule, text in parts)), "")

    def as_buildrequire(self) -> dict[str, str]:
        """Return its entry in ``xmd.mbs.buildrequires`` of a module that is built against it."""
        return {
            "ref": self.ref,
            "stream": self.stream,
            "version": str(self.version),
            "context": self.context,
            "koji_tag": self.koji_tag,
        }


class Universe(Protocol):
    """An index of module builds with bulk lookups, so that a database needs few queries for each call.

    An expansion calls ``base_modules`` once, ``candidates`` once for each level of requirements, and
    ``streams`` once for the document and each level with open lists. It looks up no stream twice. Answers
    contain no scratch builds. Among equally good builds the first is used, so answers must have a stable
    order (by id).
    """

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        """Return the newest ready build of every stream of these modules.

        A stream without a ready build is represented by its newest build in state garbage, marked
        ``retired``.
        """

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return module name -> sorted streams that have a ready build."""

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        """Return the newest ready builds, in all contexts, for each wanted stream and each base stream.

        A build belongs to a base stream if it was built against that name and stream, in any version. A
        build that belongs to several is returned once. A universe without base modules of its own
        (repositories of a host) returns builds whose ``built_against`` names its only base module.
        """
