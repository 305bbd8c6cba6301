"""Begin or continue the builds of a document: submit it, resume its builds, or build it as a new version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from mbs.client.local.plan import PLATFORM
from mbs.client.rest import Client, Json, Refused
from mbs.macros import PACKAGE
from mbs.modulemd import parse_stream
from mbs.nsvc import NSVC
from mbs.states import ACTIVE, BuildState

#: Builds of one module that are compared; earlier ones are ignored.
MAX_BUILDS = 200
#: The strategy that reuses unchanged components, and the one that reuses nothing.
CHANGED, ALL = "changed-and-after", "all"

#: Asks for one of several streams of a module: ``ask(name, streams)``; an empty answer means all.
Ask = Callable[[str, Sequence[str]], str]
#: Provides modules before builds that require them start.
Supply = Callable[[Sequence[NSVC]], None]


def narrowed(client: Client, body: Json, ask: Ask | None) -> Json:
    """Return a submission with the streams that the user chooses where an expansion has several.

    Args:
        client: The service.
        body: The submission.
        ask: Asks the user; None to build all contexts.

    Raises:
        Refused: The submission would be refused.
    """
    if ask is None:
        return body
    try:
        planned = client.plan(body)["builds"]
    except Refused as error:
        if error.code in _DIFFERENT:
            return body
        raise
    chosen: dict[str, list[str]] = dict(body.get("buildrequire_overrides") or {})
    for name, streams in _alternatives(planned).items():
        if name not in chosen and (stream := ask(name, streams)):
            chosen[name] = [stream]
    return body | {"buildrequire_overrides": chosen} if chosen else body


#: Codes of refusals because a build exists whose components were built from other commits.
_DIFFERENT = ("submitted_differently", "different_commit", "exists_already")


def _alternatives(builds: Sequence[Json]) -> dict[str, list[str]]:
    """Return the modules of which several streams are built against."""
    found: dict[str, set[str]] = {}
    for build in builds:
        for name, rest in (build.get("buildrequires") or {}).items():
            found.setdefault(name, set()).add(str(rest).partition(":")[0])
    return {name: sorted(streams) for name, streams in found.items() if len(streams) > 1}


def begin(client: Client, body: Json, *, again: bool = False, supply: Supply = lambda _: None) -> list[int]:
    """Start, resume or find the builds of a document, and return their numbers.

    A build that was interrupted or has failed is continued. If components have new commits since, or the user
    wants to build everything again, the document is built as a new version.

    Args:
        client: The service.
        body: The submission, with ``scmurl``.
        again: Build everything again, even if it exists.
        supply: Provides the modules that builds require, before they start.

    Raises:
        MBSError: The submission is refused, or ``supply`` fails.
    """
    try:
        planned: list[Json] | None = client.plan(body)["builds"]
    except Refused as error:
        if error.code not in _DIFFERENT:
            raise
        planned = None
    if planned is not None:
        supply(required(planned))
        if any(build["action"] == "build" for build in planned):
            return _numbers(client.submit(body))
    latest = _latest(client, body["scmurl"], planned)
    if not latest:
        return _numbers(client.submit(body))
    first = next(iter(latest.values()))
    wish = {"rebuild_strategy": ALL if again else CHANGED}
    rebuilds = client.plan_rebuild(first["id"], wish)["builds"]
    supply(required(rebuilds))
    if again or _changed(client, latest, rebuilds):
        for build in latest.values():
            if build["state"] in ACTIVE:
                client.cancel(build["id"])
        return _numbers(client.rebuild(first["id"], wish))
    for build in latest.values():
        if build["state"] == BuildState.FAILED:
            client.retry(build["id"])
    return _numbers(latest.values())


def required(planned: Sequence[Json]) -> list[NSVC]:
    """Return the modules that planned builds are built against, without base modules and these builds."""
    own = {build.get("nsvc") for build in planned}
    found = {
        NSVC.parse(f"{name}:{rest}"): None
        for build in planned
        for name, rest in (build.get("buildrequires") or {}).items()
        if name != PLATFORM
    }
    return [nsvc for nsvc in found if str(nsvc) not in own]


def _numbers(builds: Iterable[Json]) -> list[int]:
    return [int(build["id"]) for build in builds]


def _latest(client: Client, scmurl: str, planned: Sequence[Json] | None) -> dict[str, Json]:
    """Return the newest build of each context that the document has, or had at its last submission."""
    commit = scmurl.partition("#")[2]
    contexts = {build["context"] for build in planned or ()}
    found: dict[str, Json] = {}
    for build in client.builds({"order_desc_by": "id"}, limit=MAX_BUILDS):
        # The newest version determines the contexts if they are not planned.
        other = planned is None and found and next(iter(found.values()))["version"] != build["version"]
        if other or not str(build.get("scmurl") or "").endswith(f"#{commit}"):
            continue
        if planned is None or build["context"] in contexts:
            found.setdefault(build["context"], build)
    return found


def _changed(client: Client, latest: Mapping[str, Json], planned: Sequence[Json]) -> bool:
    """Return whether components of a rebuild would be built from other commits."""
    wanted = {build["context"]: build for build in planned}
    if wanted.keys() != latest.keys():
        return True
    for context, build in latest.items():
        now = {
            each["package"]: each["ref"]
            for batch in wanted[context]["batches"]
            for each in batch["components"]
            if each["package"] != PACKAGE
        }
        document = parse_stream(client.build(build["id"], verbose=True)["modulemd"], strict=False)
        then = {package: facts.get("ref") for package, facts in document.mbs.get("rpms", {}).items()}
        if now != then:
            return True
    return False
