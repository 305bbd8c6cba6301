"""Collect all module builds that may take part in an expansion, one level of requirements at a time.

The rules are in docs/contract/modulemd.md, "Stream expansion", rules 2 to 4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from mbs.errors import Unprocessable
from mbs.expansion import rules
from mbs.expansion.inputs import Wanted, show
from mbs.expansion.report import Trace
from mbs.expansion.settings import Request, Settings
from mbs.expansion.universe import Available, NameStream, Universe


class Gathering:
    """The module builds that are known while one submission is expanded.

    Attributes:
        modules: Builds that may take part: base modules first, then by level. Within a stream the newest is
            first.
    """

    def __init__(self, universe: Universe, settings: Settings, request: Request, trace: Trace) -> None:
        self._universe = universe
        self._settings = settings
        self._request = request
        self._trace = trace
        self._bases = list(universe.base_modules(settings.base_modules))
        self._ready: dict[str, list[Available]] = {name: [] for name in settings.base_modules}
        for base in self._bases:
            if not base.retired:
                self._ready[base.name].append(base)
        self._streams: dict[str, list[str]] = {}
        self.modules: list[Available] = []

    # -- the document's own lists

    def resolve(self, lists: Sequence[Wanted]) -> None:
        """Replace open lists and virtual streams by concrete streams, which may be without builds.

        Raises:
            Unprocessable: A local build has several streams to choose from.
        """
        self._learn_streams(
            name for each in lists for name, streams in each.streams.items() if rules.is_open(streams)
        )
        for each in lists:
            each.streams = {
                name: self._concrete(name, streams, each) for name, streams in each.streams.items()
            }

    def _learn_streams(self, names: Iterable[str]) -> None:
        unknown = sorted(set(names) - self._streams.keys() - self._ready.keys())
        if unknown:
            answer = self._universe.streams(unknown)
            self._streams |= {name: list(answer.get(name, ())) for name in unknown}

    def _concrete(self, name: str, streams: Sequence[str], wanted: Wanted) -> list[str]:
        if rules.is_open(streams):
            found = self._expanded(name, streams, wanted)
        elif name in self._ready:
            found = self._real_streams(name, rules.listed(streams), wanted)
        else:
            found = rules.listed(streams)
        return self._chosen(name, found, wanted)

    def _expanded(self, name: str, streams: Sequence[str], wanted: Wanted) -> list[str]:
        """Return the ready streams that an open list allows."""
        left_out = set(rules.excluded(streams))
        if name in self._ready:
            bases = self._ready[name]
            everything = sorted(base.stream for base in bases)
            left_out |= {base.stream for base in bases if left_out & set(base.virtual_streams)}
        else:
            bases, everything = [], self._streams[name]
        dropped = [stream for stream in everything if stream in left_out]
        kept = [stream for stream in everything if stream not in left_out]
        self._trace.add(
            "open_list",
            f"{name}: {show(streams)} allows {show(kept)}.",
            module=name,
            considered=tuple(everything),
            dropped=tuple(dropped),
            **wanted.where,
        )
        unwanted = [stream for stream in kept if bases and stream in self._settings.excluded_base_streams]
        if unwanted:
            self._trace.add(
                "excluded_stream",
                f"{name}: the configuration excludes {show(unwanted)}.",
                module=name,
                dropped=tuple(unwanted),
                **wanted.where,
            )
        return [stream for stream in kept if stream not in unwanted]

    def _real_streams(self, name: str, streams: Sequence[str], wanted: Wanted) -> list[str]:
        """Return base module streams, with virtual ones replaced by their newest provider (rule 2)."""
        ready = self._ready[name]
        own = {base.stream for base in ready}
        real: dict[str, None] = {}
        for stream in streams:
            providers = [] if stream in own else [base for base in ready if stream in base.virtual_streams]
            if providers:
                newest = max(providers, key=lambda base: (self._settings.number(base.stream), base.version))
                self._trace.add(
                    "virtual_stream",
                    f"{name}:{stream} is a virtual stream; the newest that provides it is {newest.stream}.",
                    module=name,
                    considered=tuple(base.stream for base in providers),
                    **wanted.where,
                )
                stream = newest.stream
                wanted.virtual.add(name)
            real[stream] = None
        return list(real)

    def _chosen(self, name: str, streams: list[str], wanted: Wanted) -> list[str]:
        """Return only the stream that the request chooses, if there are several."""
        if len(streams) < 2:
            return streams
        if name in self._request.default_streams:
            choice = self._request.default_streams[name]
            self._trace.add(
                "default_stream",
                f"{name}: the request chooses {choice} from {show(streams)}.",
                module=name,
                considered=tuple(streams),
                **wanted.where,
            )
            return [choice]
        if self._request.local:
            raise ambiguous(name, streams)
        return streams

    # -- what they need

    def collect(self, lists: Sequence[Wanted]) -> None:
        """Fill ``modules`` with all builds that the lists may need, directly or indirectly.

        Raises:
            Unprocessable: No base module is buildrequired, or none of the buildrequired ones exists.
        """
        requested = self._requested_bases(lists)
        groups = {base: rules.compatible(base, self._bases, self._settings) for base in requested}
        for base, majors in groups.items():
            others = [other.ns for group in majors for other in group if other is not base]
            if others:
                self._trace.add(
                    "compatible",
                    f"Modules built against {', '.join(others)} may be used with {base.ns}.",
                    module=base.name,
                    considered=tuple(others),
                )
        self.modules = list(requested)
        level = dict.fromkeys(
            (name, stream)
            for each in lists
            for name, streams in each.streams.items()
            if name not in self._ready
            for stream in streams
        )
        seen: set[NameStream] = set()
        while level:
            seen |= level.keys()
            found = self._builds(list(level), groups)
            self.modules += found
            level = {pair: None for pair in self._required(found) if pair not in seen}

    def _requested_bases(self, lists: Sequence[Wanted]) -> list[Available]:
        wanted = [
            (name, stream)
            for each in lists
            for name, streams in each.streams.items()
            if name in self._ready
            for stream in streams
        ]
        names = " or ".join(self._settings.base_modules)
        if not wanted:
            raise Unprocessable(
                f"The document does not buildrequire any ready stream of the base module ({names}).",
                code="no_base_module",
                hint=self._bases_to_choose(f"Add {self._settings.base_modules[0]} to its buildrequires"),
            )
        known = {(base.name, base.stream): base for base in self._bases if not base.retired}
        requested = {known[pair]: None for pair in wanted if pair in known}
        if not requested:
            missing = ", ".join(f"{name}:{stream}" for name, stream in dict.fromkeys(wanted))
            raise Unprocessable(
                f"None of the base modules that the document buildrequires is ready: {missing}.",
                code="unknown_base_module",
                hint=self._bases_to_choose("Name one that is"),
            )
        # Among equally new builds, one that was built against the newest base module is preferred.
        return sorted(requested, key=lambda base: -self._settings.number(base.stream))

    def _bases_to_choose(self, advice: str) -> str:
        """Return a hint: the advice with the base modules to follow it with, or how to get the first one."""
        if ready := sorted(base.ns for base in self._bases if not base.retired):
            return f"{advice}; ready are {', '.join(ready)}."
        name = self._settings.base_modules[0]
        return (
            f"This service has no base module yet. Import one with `mbs import {name}.yaml` (a file or an "
            "address), or start a service of your own with `mbs up --host-platform`. Operators use "
            f"`mbs-manager import_module {name}.yaml`."
        )

    def _builds(
        self, pairs: Sequence[NameStream], groups: Mapping[Available, list[list[Available]]]
    ) -> list[Available]:
        """Return the candidates for these streams, newest first."""
        lookups = dict.fromkeys(
            (base.name, base.stream) for majors in groups.values() for group in majors for base in group
        )
        answers: dict[tuple[NameStream, NameStream], list[Available]] = defaultdict(list)
        for build in self._universe.candidates(pairs, lookups.keys()):
            for base in build.built_against.items():
                answers[(build.name, build.stream), base].append(build)
        found: list[Available] = []
        for pair in pairs:
            builds = self._best(pair, answers, groups)
            self._trace.add(
                "candidates" if builds else "not_available",
                f"{':'.join(pair)}: "
                + (", ".join(str(build.nsvc) for build in builds) or self._no_build(lookups)),
                module=pair[0],
                considered=tuple(str(build.nsvc) for build in builds),
            )
            found += builds
        return found

    @staticmethod
    def _best(
        pair: NameStream,
        answers: Mapping[tuple[NameStream, NameStream], list[Available]],
        groups: Mapping[Available, list[list[Available]]],
    ) -> list[Available]:
        best: dict[Available, None] = {}
        for majors in groups.values():
            for group in majors:
                builds = (answers.get((pair, (base.name, base.stream))) for base in group)
                best |= dict.fromkeys(next(filter(None, builds), ()))
        return sorted(best, key=lambda build: -build.version)

    @staticmethod
    def _no_build(lookups: Collection[NameStream]) -> str:
        return f"no ready build that was built against {' or '.join(':'.join(pair) for pair in lookups)}"

    def _required(self, builds: Sequence[Available]) -> list[NameStream]:
        """Return names and streams that the builds need at run time, without base modules."""
        needs = [
            (name, streams)
            for build in builds
            for alternative in build.requires
            for name, streams in sorted(alternative.items())
            if name not in self._ready
        ]
        self._learn_streams(name for name, streams in needs if rules.is_open(streams))
        return [(name, stream) for name, streams in needs for stream in self._needed(name, streams)]

    def _needed(self, name: str, streams: Sequence[str]) -> list[str]:
        if rules.is_open(streams):
            left_out = rules.excluded(streams)
            found = [stream for stream in self._streams[name] if stream not in left_out]
        else:
            found = rules.listed(streams)
        choice = self._request.default_streams.get(name)
        return [choice] if choice in found else found


def ambiguous(name: str, streams: Sequence[str], by: str = "") -> Unprocessable:
    """Return the error for several streams in a local build, which may not choose by itself."""
    whom = f", which {by} requires," if by else ""
    return Unprocessable(
        f"{name}{whom} has several streams to choose from: {', '.join(streams)}.",
        code="ambiguous_stream",
        hint=f"Choose one as the default stream of {name}.",
    )
