"""The result of an expansion: builds and the decisions that led to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mbs.contexts import Contexts
from mbs.expansion.universe import Available
from mbs.modulemd.documents import StreamV2


@dataclass(frozen=True)
class Step:
    """A decision during expansion.

    ==================== ============================================================================
    ``override``         the request replaced the streams of a module
    ``branch_override``  the branch's name replaced them
    ``virtual_stream``   a virtual stream was replaced by the newest base stream that provides it
    ``open_list``        the streams that an open list allows; ``dropped``: those that it excludes
    ``excluded_stream``  base module streams that the configuration excludes
    ``default_stream``   the request chose among several streams
    ``compatible``       base modules whose modules may be used
    ``candidates``       builds of a stream that were considered
    ``not_available``    a stream without a usable build
    ``rejected``         streams that cannot be built together (see ``Rejected``)
    ``older_build``      the newest build of a stream does not fit the others, so an older one is used
    ``duplicate``        two dependency lists lead to the same build; the later one is dropped
    ``chosen``           a combination that is built
    ==================== ============================================================================

    Attributes:
        module: Name of the module that the decision is about, or empty.
        context: The static context, if the document has several.
        dependencies: Number of the document's dependency list, from 0; None: all lists.
        considered: Streams or builds to choose from.
        dropped: Streams or builds that were left out.
    """

    code: str
    message: str
    module: str = ""
    context: str = ""
    dependencies: int | None = None
    considered: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that are not empty, for JSON."""
        shown = {"code": self.code, "message": self.message, "module": self.module, "context": self.context}
        lists = {"considered": list(self.considered), "dropped": list(self.dropped)}
        number = {} if self.dependencies is None else {"dependencies": self.dependencies}
        return {key: value for key, value in (shown | lists).items() if value} | number


@dataclass(frozen=True)
class Rejected:
    """Streams that cannot be built together. Every combination that contains them is left out.

    Attributes:
        code: ``stream_collision``, ``unmet_requirement`` or ``unsolvable``.
        streams: Module name -> stream; a minimal set that cannot be built together.
        modules: The two builds that collide, or the one with the unmet requirement.
        paths: For each of ``modules``, the path from the document to it.
    """

    code: str
    message: str
    streams: Mapping[str, str]
    modules: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()
    context: str = ""
    dependencies: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
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
    """A build that results from the document.

    Attributes:
        document: A copy with fixed dependencies, ``context`` and ``xmd.mbs`` (``buildrequires``, ``mse``
            and, for a static context, ``static_context``). It shares unchanged parts with the original, so
            replace parts instead of modifying them. Its version is the document's;
            ``mbs.contexts.prefixed_version`` adds the number of ``base``.
        contexts: All hashes; ``contexts.context`` differs from the document's context if that is static.
        buildrequires: Module name -> the build to build against, including indirect ones.
        base: The base module among them.
        marking: The dist tag's marking: that of the privileged or base module, otherwise the base module's
            stream.
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
        """The context of the document."""
        return self.document.context

    def as_dict(self) -> dict[str, Any]:
        """Return context, dependencies and buildrequires (as ``stream:version:context``) for JSON."""
        return {
            "context": self.context,
            "dependencies": [
                {"buildrequires": _sorted(each.buildrequires), "requires": _sorted(each.requires)}
                for each in self.document.dependencies
            ],
            "buildrequires": {name: module.nsvc.svc for name, module in self.buildrequires.items()},
        }


def _sorted(streams: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: sorted(listed) for name, listed in sorted(streams.items())}


@dataclass(frozen=True)
class Expansion:
    """The result of an expansion.

    Attributes:
        builds: In the order of documents, dependency lists and streams.
        trace: All decisions in order.
        rejected: Streams that cannot be built together.
        solves: How often the solver ran.
    """

    builds: Sequence[ExpandedBuild]
    trace: Sequence[Step]
    rejected: Sequence[Rejected]
    solves: int = 0


@dataclass
class Trace:
    """Collects the decisions of an expansion."""

    steps: list[Step] = field(default_factory=list)

    def add(self, code: str, message: str, **details: Any) -> None:
        """Append a ``Step`` with these fields."""
        self.steps.append(Step(code, message, **details))
