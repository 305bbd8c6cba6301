"""Modules of another Module Build Service, read from its REST API (docs/contract/rest.md)."""

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

#: Concurrent requests.
PARALLEL = 8
#: Builds of one module that are read at most; services keep thousands, and return the newest first.
MAX_BUILDS = 5000

#: Keys of every representation; the verbose one has ``modulemd`` too.
_REQUIRED_KEYS = {"id", "name", "stream", "version", "state_name"}

_T = TypeVar("_T")
_R = TypeVar("_R")


class RemoteUniverse:
    """The modules of another service; see ``mbs.expansion.Universe``.

    Each stream needs a request; a method sends its requests concurrently. Every method raises ``Unavailable``
    if the other service does not respond as documented.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        """Return the newest build of each stream of these base modules, preferring ready ones to garbage."""
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
        """Return the streams of these modules that have ready builds."""
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
        """Return the newest ready builds of these streams that were built against these base modules."""
        queries = [(pair, base) for pair in wanted for base in bases]
        answers = _in_parallel(lambda query: self._newest(*query), queries)
        builds = {build["id"]: build for answer in answers for build in answer}
        return _available(builds[number] for number in sorted(builds))

    def _newest(self, pair: NameStream, base: NameStream) -> list[Json]:
        """Return all contexts of a stream's newest version that was built against a base module stream."""
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
                    raise UnexpectedAnswer(f"A build has no {', '.join(sorted(missing))}.")
                if _is_valid(build):
                    yield build
        except (Refused, UnexpectedAnswer) as error:
            raise Unavailable(
                f"Modules cannot be looked up at {self._client.server}: {error.message}",
                code="resolver_unavailable",
                hint="Try again later, or set MBS_URL to another service.",
            ) from error


def _in_parallel(work: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(work, items))


def _pair(build: Json) -> NameStream:
    return build["name"], build["stream"]


def _precedence(build: Json) -> tuple[bool, int]:
    return build["state_name"] == "ready", int(build["version"])


def _is_valid(build: Json) -> bool:
    """Return whether the used fields of a build have the right types; log it if they do not."""
    texts = all(isinstance(build[key], str) for key in ("name", "stream", "version", "state_name"))
    if texts and isinstance(build["id"], int) and is_version(build["version"]):
        return True
    log.warning(
        "A build of the other service is ignored because its fields are invalid: %.200r",
        {key: build[key] for key in _REQUIRED_KEYS},
    )
    return False


def _available(builds: Iterable[Json]) -> list[Available]:
    """Convert verbose representations of builds; log and skip those that cannot be used."""
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
            log.warning("Build %s of the other service is ignored: %s", build["id"], fault)
    return found
