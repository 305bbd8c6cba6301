"""What an expansion answers: the builds to be made, and why these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mbs.contexts import Contexts
from mbs.expansion.universe import Available
from mbs.modulemd.documents import StreamV2


@dataclass(frozen=True)
class Step:
    """One thing that was decided on the way.

    ==================== ============================================================================
    ``override``         the request replaced the streams of a module
    ``branch_override``  the name of the branch did
    ``virtual_stream``   a base module stream stands for the newest that provides it
    ``open_list``        which streams an open list stands for; ``dropped``: left out by the list
    ``excluded_stream``  base module streams left out by the configuration
    ``default_stream``   the request chose among several streams
    ``compatible``       base modules whose modules may be used
    ``candidates``       builds of a stream that were considered
    ``not_available``    a stream without any build that could be used
    ``rejected``         streams that cannot be built together (see ``Rejected``)
    ``older_build``      not the newest build of a stream: that one does not go with the others
    ``duplicate``        two dependency lists lead to the same build: the later one is dropped
    ``chosen``           a combination that is built
    ==================== ============================================================================

    Attributes:
        module: The name it is about, or empty.
        context: The author's context, where the document has several.
        dependencies: Number of the document's dependency list, from 0; None: all of them.
    """

    code: str
    message: str
    module: str = ""
    context: str = ""
    dependencies: int | None = None
    considered: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The fields that say something, for JSON."""
        shown = {"code": self.code, "message": self.message, "module": self.module, "context": self.context}
        lists = {"considered": list(self.considered), "dropped": list(self.dropped)}
        number = {} if self.dependencies is None else {"dependencies": self.dependencies}
        return {key: value for key, value in (shown | lists).items() if value} | number


@dataclass(frozen=True)
class Rejected:
    """Streams that cannot be built together: every combination with all of them is left out.

    Attributes:
        code: ``stream_collision``, ``unmet_requirement`` or ``unsolvable``.
        streams: Module name -> stream; as few as make it impossible.
        modules: The two builds that collide, or the one whose requirement nothing meets.
        paths: For each of ``modules``, how the document comes to need it.
    """

    code: str
    message: str
    streams: Mapping[str, str]
    modules: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()
    context: str = ""
    dependencies: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "streams": dict(self.streams),
            "modules": list(self.modules),
            "paths": [list(path) for path in self.paths],
            "dependencies": self.dependencies,
        } | ({"context": self.context} if self.context else {})


@dataclass(frozen=True)
class ExpandedBuild:
    """One build to be made.

    Attributes:
        document: A copy whose dependencies are fixed, with ``context`` and ``xmd.mbs``
            (``buildrequires``, ``mse``; ``static_context`` where the author chose the context).
            What it does not differ in is shared with the document that came in: replace it, do not
            change it. Its version is the document's; ``mbs.contexts.prefixed_version`` puts
            ``base`` into it.
        contexts: All hashes; ``contexts.context`` is not the document's where the author chose
            that.
        buildrequires: Module name -> the build it is built against, those needed indirectly
            included.
        base: The base module among them.
        marking: Of the dist tag: of the privileged or base module, else the base module's stream.
        dependencies: Number of the document's dependency list, from 0.
    """

    document: StreamV2
    contexts: Contexts
    buildrequires: Mapping[str, Available]
    base: Available
    marking: str
    dependencies: int

    @property
    def context(self) -> str:
        return self.document.context

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the context, the dependencies, and name -> ``stream:version:context`` of what it is
        built against."""
        return {
            "context": self.context,
            "dependencies": [
                {"buildrequires": _sorted(each.buildrequires), "requires": _sorted(each.requires)}
                for each in self.document.dependencies
            ],
            "buildrequires": {
                name: f"{module.stream}:{module.version}:{module.context}"
                for name, module in self.buildrequires.items()
            },
        }


def _sorted(streams: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: sorted(listed) for name, listed in sorted(streams.items())}


@dataclass(frozen=True)
class Expansion:
    """All of it.

    Attributes:
        builds: In order of the documents, the dependency lists and the streams.
        solves: How often the solver was asked.
    """

    builds: Sequence[ExpandedBuild]
    trace: Sequence[Step]
    rejected: Sequence[Rejected]
    solves: int = 0


@dataclass
class Trace:
    """Collects steps while an expansion runs."""

    steps: list[Step] = field(default_factory=list)

    def add(self, code: str, message: str, **details: Any) -> None:
        """Append a ``Step``; ``details`` are its fields."""
        self.steps.append(Step(code, message, **details))
