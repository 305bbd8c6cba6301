"""What there is to build against: module builds in state ready, and who knows them."""

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
    """A module build that may be built against. Two are the same only if they are one object.

    Attributes:
        version: As a number; versions are compared as numbers.
        requires: One mapping (module name -> streams as written) for each dependency list of the
            document; any one of the lists suffices.
        built_against: Module name -> stream, from ``xmd.mbs.buildrequires``; the base module's is
            needed.
        virtual_streams: ``xmd.mbs.virtual_streams`` (of base modules).
        koji_tag: Empty for a module without packages.
        ref: The commit that it was made from (``xmd.mbs.commit``).
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
        return f"{self.name}:{self.stream}"

    @property
    def nsvc(self) -> NSVC:
        return NSVC(self.name, self.stream, str(self.version), self.context)

    def fault(self) -> str:
        """Say why nothing can be built against it: a name that ends in tags and dist tags is not plain.

        An empty text when nothing is wrong. Documents that are only read may hold any name.
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
        """Its entry in ``xmd.mbs.buildrequires`` of a module built against it."""
        return {
            "ref": self.ref,
            "stream": self.stream,
            "version": str(self.version),
            "context": self.context,
            "koji_tag": self.koji_tag,
        }


class Universe(Protocol):
    """Answers in bulk, so that a database needs a constant number of queries for each call.

    An expansion calls ``base_modules`` once and ``candidates`` once for each level of the dependency
    tree; ``streams`` once when the document has open lists, and once more for a level that has some.
    No stream is asked for twice. Scratch builds are never part of an answer. Order matters where builds are
    equally good (the same version, or any of several streams): the first wins, so answer in a stable
    order (by id).
    """

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        """The newest build of every stream of these modules, in state ready; for a stream without one
        its newest build in state garbage, marked ``retired``. (One query, and one for virtual streams.)
        """

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Module name -> its streams with a build in state ready, in order of their text. (One query.)"""

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        """For each of ``wanted`` and each of ``bases``: the builds in state ready that were built
        against this stream of the base module; of those the newest version, in all its contexts.
        (One query.)

        A build belongs to ``bases`` by name and stream, whatever the base module's version. One that
        was built against several of them is answered once. A universe without base modules of its own
        (a host's repositories) answers builds whose ``built_against`` names the one base it has.
        """
