"""Tag builds into a module's tags and read the tags (docs/contract/koji.md, "Builds and tasks")."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import koji

from buildsys.base import BuildSystemError, Module, Tagged
from buildsys.koji.errors import TAKEN
from buildsys.koji.session import Hub, outcome, succeeded
from buildsys.koji.tags import build_tag
from mbs.macros import PACKAGE as MACROS
from mbs.modulemd import parse_stream
from mbs.nsvc import BUILD_SUFFIX

OPEN_TASKS = [koji.TASK_STATES[name] for name in ("FREE", "OPEN", "ASSIGNED")]
_COMPLETE = koji.BUILD_STATES["COMPLETE"]
_FAILED = koji.TASK_STATES["FAILED"]
#: Failed attempts to tag a build into a tag, since the last resumption, after which it is an error.
MAX_TRIES = 3
_DAY = 24 * 3600
#: Build group -> the profile of a module that defines its packages.
PROFILES = {"build": "buildroot", "srpm-build": "srpm-buildroot"}
#: The build groups of a module's buildroot.
GROUPS = tuple(PROFILES)


@dataclass(frozen=True)
class Put:
    """The result of a request to tag builds.

    Attributes:
        there: (tag, NVR) of builds that were tagged already.
        failed: The newest task that failed to tag a missing build; 0 for none.
    """

    there: frozenset[tuple[str, str]] = frozenset()
    failed: int = 0


@dataclass(frozen=True)
class _Known:
    """A hub's data about some builds and tags.

    Attributes:
        missing: (tag, NVR) -> (id of the tag, id of the build) of builds that are not tagged.
        tasks: This user's tagging tasks that are open or failed lately.
        owner: Owner of packages to be listed: the requested one if Koji knows the user.
    """

    missing: dict[tuple[str, str], tuple[int, int]]
    tasks: Sequence[dict[str, Any]]
    owner: str

    def open(self) -> Counter[tuple[int, int]]:
        """Return (tag, build) -> number of open tasks."""
        return Counter(_about(task) for task in self.tasks if task["state"] != _FAILED)

    def failed(self, since: float) -> dict[tuple[int, int], list[int]]:
        """Return (tag, build) -> failed tasks that were created after a time."""
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for task in self.tasks:
            if task["state"] == _FAILED and task["create_ts"] > since:
                found[_about(task)].append(task["id"])
        return found


def _about(task: Mapping[str, Any]) -> tuple[int, int]:
    """Return the ids of a tagging task's tag and build."""
    return task["request"][0], task["request"][1]


def put(
    hub: Hub,
    tags: Sequence[str],
    nvrs: Sequence[str],
    *,
    since: float,
    owner: str = "",
    groups: Mapping[str, Sequence[str]] | None = None,
    bounded: bool = True,
    put_back: bool = True,
) -> Put:
    """Request that builds be tagged, unless they are tagged or a task for it is open.

    This takes one multicall to read and another for the requests.

    Args:
        since: Time when the module was started or resumed; earlier failures are ignored.
        owner: Owner to list the packages in the tags with first, if Koji knows the user; empty if they are
            listed.
        groups: Build group -> packages to add to it in the first tag.
        bounded: Fail after ``MAX_TRIES`` failed tasks.
        put_back: Tag builds again that were in the tag and were untagged.

    Raises:
        BuildSystemError: ``koji_tag_refused``: the hub's tasks failed several times.
    """
    if not nvrs:
        return Put()
    known = _read(hub, tags, nvrs, owner=owner, put_back=put_back)
    open_, failed = known.open(), known.failed(since)
    wanted = {names: ids for names, ids in known.missing.items() if not open_[ids]}
    if bounded and (refused := [names for names, ids in wanted.items() if len(failed[ids]) >= MAX_TRIES]):
        raise BuildSystemError(
            "Koji failed to tag " + ", ".join(f"{nvr} into {tag}" for tag, nvr in refused) + ".",
            code="koji_tag_refused",
            hint="See the failed tagBuild tasks of the service's user. Correct the cause, then resubmit.",
        )
    asked = []
    with hub.multicall(strict=False) as calls:
        for group, members in (groups or {}).items() if wanted else ():
            asked.append(calls.groupListAdd(tags[0], group))
            asked += [calls.groupPackageListAdd(tags[0], group, package) for package in members]
        for name, nvr in wanted:
            if owner:
                asked.append(calls.packageListAdd(name, nvr.rsplit("-", 2)[0], known.owner))
            asked.append(calls.tagBuild(name, nvr))
    for call in asked:
        _passed(call)
    failures = [task for ids in known.missing.values() for task in failed[ids]]
    there = {(name, nvr) for name in tags for nvr in nvrs} - known.missing.keys()
    return Put(frozenset(there), max(failures, default=0))


def _passed(call: Any) -> None:
    """Raise the hub's refusal of a call, unless another attempt did the same before."""
    try:
        outcome(call)
    except BuildSystemError as refusal:
        if TAKEN not in refusal.message:
            raise


def _read(hub: Hub, tags: Sequence[str], nvrs: Sequence[str], *, owner: str, put_back: bool) -> _Known:
    own_name = str(hub.user["name"])
    pairs = [(name, nvr) for name in tags for nvr in nvrs]
    with hub.multicall() as calls:
        tag_infos = {name: calls.getTag(name, strict=True) for name in tags}
        builds = {nvr: calls.getBuild(nvr, strict=True) for nvr in nvrs}
        if put_back:
            listed = {name: calls.listTagged(name) for name in tags}
        else:
            past = {
                pair: calls.queryHistory(tables=["tag_listing"], tag=pair[0], build=pair[1]) for pair in pairs
            }
        user = calls.getUser(owner or own_name)
        tasks = calls.listTasks(
            {
                "owner": hub.user["id"],
                "method": "tagBuild",
                "state": [*OPEN_TASKS, _FAILED],
                "createdAfter": time.time() - _DAY,
                "decode": True,
            }
        )
    if put_back:
        there = {(name, build["nvr"]) for name, rows in listed.items() for build in rows.result}
    else:
        there = {pair for pair, rows in past.items() if rows.result.get("tag_listing")}
    missing = {
        (name, nvr): (tag_infos[name].result["id"], builds[nvr].result["id"])
        for name, nvr in pairs
        if (name, nvr) not in there
    }
    return _Known(missing, tasks.result, owner if user.result else own_name)


def tag(hub: Hub, module: Module, nvrs: Sequence[str], *, final: bool) -> Tagged:
    """Request that builds be put into a module's tags; see ``put``.

    The macros package is a batch of its own and is added to the build groups, so that it is in every
    buildroot. The packages of the module's own buildroot profiles are added when components are tagged that
    are flagged for them.
    """
    tags = [build_tag(module), module.tag] if final else [build_tag(module)]
    groups = _groups(module, {nvr.rsplit("-", 2)[0] for nvr in nvrs})
    there = put(hub, tags, nvrs, since=module.since, groups=groups).there
    buildroot, in_final = (
        frozenset(nvr for nvr in nvrs if (name, nvr) in there) for name in (build_tag(module), module.tag)
    )
    return Tagged(buildroot, in_final)


def _groups(module: Module, packages: Set[str]) -> dict[str, list[str]]:
    """Return build group -> packages to add to it after these packages were built."""
    if MACROS in packages:
        return {group: [MACROS] for group in GROUPS}
    document = parse_stream(module.modulemd, strict=False)
    built = [each for each in document.rpm_components.values() if each.name in packages]
    flags = {
        "build": any(each.buildroot for each in built),
        "srpm-build": any(each.srpm_buildroot for each in built),
    }
    profiles = {group: document.profiles.get(PROFILES[group]) for group, flag in flags.items() if flag}
    return {group: sorted(profile.rpms) for group, profile in profiles.items() if profile}


def tagged(hub: Hub, module: Module, nvrs: Sequence[str]) -> Tagged:
    """Return which of these builds are in a module's tags, in one round trip."""
    (found,) = tagged_of(hub, [(module, nvrs)])
    return found


def tagged_of(hub: Hub, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
    """Return ``tagged`` for several modules, in one round trip."""
    with hub.multicall() as calls:
        listed = [
            [calls.listTagged(name) for name in (build_tag(module), module.tag)] for module, _ in wanted
        ]
    found = []
    for (_, nvrs), rows in zip(wanted, listed, strict=True):
        buildroot, final = (frozenset(build["nvr"] for build in builds.result) for builds in rows)
        found.append(Tagged(buildroot & set(nvrs), final & set(nvrs)))
    return found


def deleted(hub: Hub, nvrs: Sequence[str]) -> set[str]:
    """Return which of these builds were deleted or are not complete, in one round trip."""
    with hub.multicall(strict=False) as calls:
        builds = {nvr: calls.getBuild(nvr) for nvr in nvrs}
    return {nvr for nvr, build in builds.items() if (outcome(build) or {}).get("state") != _COMPLETE}


def holding(hub: Hub, rpm: str, prefixes: tuple[str, ...]) -> list[str]:
    """Return the tags of modules that contain an RPM (N-V-R.A) or build (N-V-R).

    Args:
        prefixes: Prefixes of the names of modules' tags.
    """
    with hub.multicall(strict=False) as calls:
        asked = [calls.getRPM(rpm), calls.getBuild(rpm)]
    # The hub refuses names that are not possible for an RPM or a build.
    known = [each.result for each in asked if succeeded(each) and each.result]
    # An RPM of an external repository has no build.
    if not known or not known[0]["build_id"]:
        return []
    names = [tag["name"] for tag in hub.call("listTags", known[0]["build_id"])]
    return [name for name in names if name.startswith(prefixes) and not name.endswith(BUILD_SUFFIX)]


def untag_all(hub: Hub, module: Module) -> None:
    """Remove all builds from a module's tags, so that Koji may delete them."""
    names = build_tag(module), module.tag
    with hub.multicall(strict=False) as calls:
        listed = {name: calls.listTagged(name, strict=False) for name in names}
    with hub.multicall() as calls:
        for name, builds in listed.items():
            for build in builds.result:
                calls.untagBuild(name, build["nvr"], strict=False)
