"""The modules that another Module Build Service knows, read by its REST API (docs/contract/rest.md)."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import TypeVar

from mbs.client.rest import Client, Json, Params, Refused, UnexpectedAnswer
from mbs.errors import Unavailable
from mbs.expansion import Available, NameStream, available
from mbs.modulemd import ModulemdError, parse_stream
from mbs.names import is_version

log = logging.getLogger(__name__)

#: Requests at once.
PARALLEL = 8
#: Builds of one module that are looked at; services keep thousands, and the newest come first.
MAX_BUILDS = 5000

#: Keys that every representation has; the verbose one has the document as well.
_REQUIRED_KEYS = {"id", "name", "stream", "version", "state_name"}

_T = TypeVar("_T")
_R = TypeVar("_R")


class RemoteUniverse:
    """See ``mbs.expansion.Universe``. Each stream takes a request; those of one call are made side by side.

    :raises Unavailable: from any method, when the other service does not answer as it should.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        answers = _in_parallel(
            lambda query: list(self._builds(name=query[0], state=query[1], verbose="true")),
            [(name, state) for state in ("ready", "garbage") for name in names],
        )
        newest: dict[NameStream, Json] = {}
        for build in (build for answer in answers for build in answer):
            known = newest.get(_pair(build))
            if known is None or _precedence(build) > _precedence(known):
                newest[_pair(build)] = build
        return _available(newest.values())

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        answers = _in_parallel(
            lambda name: list(self._builds(name=name, state="ready", short="true")), list(names)
        )
        for build in (build for answer in answers for build in answer):
            found[build["name"]].add(build["stream"])
        return {name: sorted(streams) for name, streams in found.items()}

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        queries = [(pair, base) for pair in wanted for base in bases]
        answers = _in_parallel(lambda query: self._newest(*query), queries)
        builds = {build["id"]: build for answer in answers for build in answer}
        return _available(builds[number] for number in sorted(builds))

    def _newest(self, pair: NameStream, base: NameStream) -> list[Json]:
        """The builds of a stream's newest version against one base module stream, in every context."""
        builds = self._builds(
            name=pair[0],
            stream=pair[1],
            state="ready",
            base_module_br_name=base[0],
            base_module_br_stream=base[1],
            order_desc_by="version",
            verbose="true",
        )
        first = next(builds, None)
        if first is None:
            return []
        return [first, *takewhile(lambda build: build["version"] == first["version"], builds)]

    def _builds(self, **params: str) -> Iterator[Json]:
        query: Params = params
        needed = _REQUIRED_KEYS | ({"modulemd"} if "verbose" in params else set())
        try:
            for build in self._client.builds(query, limit=MAX_BUILDS):
                if missing := needed - build.keys():
                    raise UnexpectedAnswer(f"A build lacks {', '.join(sorted(missing))}.")
                if _is_valid(build):
                    yield build
        except (Refused, UnexpectedAnswer) as error:
            raise Unavailable(
                f"{self._client.server}, where modules are looked up, cannot be asked: {error.message}",
                code="resolver_unavailable",
                hint="Try again later; MBS_URL names the service.",
            ) from error


def _in_parallel(work: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(work, items))


def _pair(build: Json) -> NameStream:
    return build["name"], build["stream"]


def _precedence(build: Json) -> tuple[bool, int]:
    return build["state_name"] == "ready", int(build["version"])


def _is_valid(build: Json) -> bool:
    """Whether the parts of a build that are looked at are what they should be; others are passed over."""
    texts = all(isinstance(build[key], str) for key in ("name", "stream", "version", "state_name"))
    if texts and isinstance(build["id"], int) and is_version(build["version"]):
        return True
    log.warning(
        "A build of the other service is passed over: %.200r", {key: build[key] for key in _REQUIRED_KEYS}
    )
    return False


def _available(builds: Iterable[Json]) -> list[Available]:
    """What the verbose representations of builds say; one that cannot be used is passed over."""
    found = []
    for build in builds:
        tag = build.get("koji_tag") or ""
        try:
            document = parse_stream(str(build["modulemd"]), strict=False)
        except ModulemdError as error:
            fault = error.message
        else:
            made = available(document, koji_tag=str(tag), retired=build["state_name"] != "ready")
            fault = made.fault()
            if not fault:
                found.append(made)
        if fault:
            log.warning("Build %s of the other service is passed over: %s", build["id"], fault)
    return found
