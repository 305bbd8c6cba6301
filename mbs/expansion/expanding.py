"""Expand a document into one document for each combination of streams.

The rules are in docs/contract/modulemd.md, "Stream expansion".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mbs.contexts import contexts, stream_version
from mbs.errors import Problem, Unprocessable
from mbs.expansion.explaining import Reason
from mbs.expansion.gathering import Gathering, ambiguous
from mbs.expansion.inputs import Wanted, show, wanted_lists
from mbs.expansion.report import ExpandedBuild, Expansion, Rejected, Trace
from mbs.expansion.searching import Combination, Search
from mbs.expansion.settings import Request, Settings
from mbs.expansion.solver import Solver
from mbs.expansion.universe import Available, Universe
from mbs.modulemd.documents import Dependencies, StreamV2

#: Max rejected combinations in an error.
MAX_PROBLEMS = 20


def expand(
    documents: StreamV2 | Sequence[StreamV2],
    universe: Universe,
    settings: Settings | None = None,
    request: Request | None = None,
) -> Expansion:
    """Return every build that results from a document.

    Args:
        documents: A v2 stream, or all v2 streams made from one packager v3 document. They are not changed.
        universe: Tells which module builds exist.

    Returns:
        At least one build, with the decisions that led to the result.

    Raises:
        InvalidInput: An override names a module that the document does not list.
        Unprocessable: No combination can be built (``stream_collision``, ``unmet_requirement``,
            ``no_base_module``, ``unknown_base_module``, or ``no_combination`` for several of these), there
            are too many (``too_many_combinations``), two builds have the same name (``duplicate_context``),
            or a local build has several streams to choose from (``ambiguous_stream``).
    """
    settings, request = settings or Settings(), request or Request()
    documents = [documents] if isinstance(documents, StreamV2) else documents
    return _Run(universe, settings, request).expand(documents)


class _Run:
    """The state of one expansion."""

    def __init__(self, universe: Universe, settings: Settings, request: Request) -> None:
        self._settings = settings
        self._request = request
        self._trace = Trace()
        self._gathering = Gathering(universe, settings, request, self._trace)
        self._builds: list[ExpandedBuild] = []
        self._known: dict[tuple[str, float | None], ExpandedBuild] = {}
        self._rejected: list[Rejected] = []

    def expand(self, documents: Sequence[StreamV2]) -> Expansion:
        lists = wanted_lists(documents, self._settings, self._request, self._trace)
        self._gathering.resolve(lists)
        self._gathering.collect(lists)
        solver = Solver(self._gathering.modules, self._settings)
        search = Search(solver, self._settings)
        for wanted in lists:
            if not self._has_streams(wanted):
                continue
            for result in search.combinations(wanted.streams):
                if isinstance(result, Combination):
                    self._accept(wanted, result, solver)
                else:
                    self._reject(wanted, dict(sorted(result)), search.conflicts[result])
        if not self._builds:
            raise self._no_combination()
        return Expansion(self._builds, self._trace.steps, self._rejected, solver.solves)

    def _has_streams(self, wanted: Wanted) -> bool:
        empty = [name for name, streams in wanted.streams.items() if not streams]
        for name in empty:
            written = show(wanted.written.buildrequires[name])
            message = f"No stream that {name}: {written} allows is ready."
            self._reject(wanted, {}, Reason("unmet_requirement", message))
        return not empty

    def _accept(self, wanted: Wanted, found: Combination, solver: Solver) -> None:
        base = self._base(found.builds)
        if base is None:
            message = f"Dependency list {wanted.index} requires no base module, directly or indirectly."
            self._reject(wanted, found.streams, Reason("no_base_module", message))
            return
        self._check_choices(wanted, found, solver)
        build = self._build(wanted, found, base)
        if self._is_duplicate(build, wanted):
            return
        self._builds.append(build)
        streams = ", ".join(f"{name}:{stream}" for name, stream in found.streams.items())
        self._trace.add(
            "chosen",
            f"{build.document.name}:{build.document.stream} is built against {streams} as {build.context}.",
            considered=tuple(str(module.nsvc) for module in found.builds),
            **wanted.where,
        )
        self._trace_older(wanted, found, build, solver)

    def _trace_older(self, wanted: Wanted, found: Combination, build: ExpandedBuild, solver: Solver) -> None:
        for module in found.builds:
            preferred = [
                each for each in solver.builds((module.name, module.stream)) if each.version > module.version
            ]
            if preferred:
                self._trace.add(
                    "older_build",
                    f"{build.context} uses {module.nsvc}: newer builds do not fit the other modules.",
                    module=module.name,
                    dropped=tuple(str(each.nsvc) for each in preferred),
                    **wanted.where,
                )

    def _reject(self, wanted: Wanted, streams: Mapping[str, str], reason: Reason) -> None:
        reason = replace(reason, message=reason.message + _as_written(wanted, streams, reason.message))
        self._rejected.append(Rejected(**vars(reason), streams=streams, **wanted.where))
        self._trace.add("rejected", reason.message, **wanted.where)

    def _base(self, builds: Sequence[Available]) -> Available | None:
        named = {build.name: build for build in builds}
        return next((named[name] for name in self._settings.base_modules if name in named), None)

    def _check_choices(self, wanted: Wanted, found: Combination, solver: Solver) -> None:
        """Check that a local build uses no stream that only the solver chose.

        Raises:
            Unprocessable: There were several streams to choose from.
        """
        if not self._request.local:
            return
        streams = {build.name: build.stream for build in found.builds}
        settled = {*found.streams, *self._request.default_streams, *self._settings.base_modules}
        for build in found.builds:
            for need in solver.needs(build):
                choices = sorted({each.stream for each in solver.builds(need)})
                if len(choices) > 1 and need.name in streams and need.name not in settled:
                    raise ambiguous(need.name, choices, str(build.nsvc))

    def _is_duplicate(self, build: ExpandedBuild, wanted: Wanted) -> bool:
        """Return whether the same build was already found.

        Raises:
            Unprocessable: Another build with the same context was already found.
        """
        other = self._known.setdefault(_identity(build), build)
        if other is build:
            return False
        if other.document != build.document:
            raise Unprocessable(
                f"The context {build.context} means more than one build: {_against(other)}, and "
                f"{_against(build)}.",
                code="duplicate_context",
                hint="A static context must name one stream of everything it buildrequires.",
            )
        self._trace.add("duplicate", f"{_against(build)} was already found.", **wanted.where)
        return True

    def _build(self, wanted: Wanted, found: Combination, base: Available) -> ExpandedBuild:
        dependencies = Dependencies(
            {name: [stream] for name, stream in found.streams.items()},
            {
                name: [found.streams[name]] if _is_fixed(name, wanted) else streams
                for name, streams in wanted.written.requires.items()
            },
        )
        buildrequires = {build.name: build for build in sorted(found.builds, key=lambda build: build.name)}
        notes = {name: build.as_buildrequire() for name, build in buildrequires.items()}
        hashes = contexts(notes, [dependencies.requires], self._settings.base_modules)
        document = replace(
            wanted.document,
            context=wanted.document.context if wanted.static else hashes.context,
            dependencies=[dependencies],
            xmd=_with_notes(wanted, notes),
        )
        marking = self._marking(buildrequires, base)
        return ExpandedBuild(document, hashes, buildrequires, base, marking, wanted.index)

    def _marking(self, buildrequires: Mapping[str, Available], base: Available) -> str:
        names = (*self._settings.privileged, base.name)
        modules = (buildrequires[name] for name in names if name in buildrequires)
        return next((each.disttag_marking for each in modules if each.disttag_marking), base.stream)

    def _no_combination(self) -> Unprocessable:
        if not self._rejected:
            return Unprocessable(
                "The document has no dependencies: there is nothing to build it against.",
                code="no_base_module",
                hint=f"Add {self._settings.base_modules[0]} to its buildrequires.",
            )
        codes = {each.code for each in self._rejected}
        problems = [
            Problem(each.code, each.message, key=f"data.dependencies[{each.dependencies}]")
            for each in self._rejected
        ]
        return Unprocessable(
            f"No combination of streams can be built. {self._rejected[0].message}",
            code=codes.pop() if len(codes) == 1 else "no_combination",
            hint="Change the streams in buildrequires, or build what is missing first.",
            problems=problems[:MAX_PROBLEMS],
        )


def _as_written(wanted: Wanted, streams: Mapping[str, str], message: str) -> str:
    """Return a sentence with the lists from which the streams in a message were chosen, or ""."""
    lists = [
        f"{name}: {show(wanted.written.buildrequires[name])}"
        for name, stream in streams.items()
        if [stream] != [*wanted.written.buildrequires.get(name, [stream])]
        and f"buildrequires {name}:{stream}" in message
    ]
    return f" The document says {', '.join(lists)}." if lists else ""


def _is_fixed(name: str, wanted: Wanted) -> bool:
    """Return whether building and running list the same streams (rule 6).

    A virtual stream of a base module differs from the stream that is built against, so it stays as written.
    """
    written = wanted.written
    same = name in written.buildrequires and set(written.requires[name]) == set(written.buildrequires[name])
    return same and name not in wanted.virtual


def _with_notes(wanted: Wanted, buildrequires: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Return ``xmd`` with ``xmd.mbs`` filled in (rule 7). Scalars in xmd are text."""
    xmd = wanted.document.xmd if isinstance(wanted.document.xmd, dict) else {}
    notes = wanted.document.mbs | {"buildrequires": buildrequires, "mse": "true"}
    return xmd | {"mbs": notes | ({"static_context": "true"} if wanted.static else {})}


def _identity(build: ExpandedBuild) -> tuple[str, float | None]:
    """Return the key by which builds of one submission differ: context and the base stream in the version."""
    return build.context, stream_version(build.base.stream, right_pad=False)


def _against(build: ExpandedBuild) -> str:
    streams = build.document.dependencies[0].buildrequires
    return "one against " + ", ".join(f"{name}:{stream}" for name, [stream] in sorted(streams.items()))
