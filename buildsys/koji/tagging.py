"""Which builds are in a module's tags. docs/contract/koji.md, "Builds and tasks"."""

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
#: failed tries to tag one build into one tag, since it was resumed, after which the hub is believed
MAX_TRIES = 3
_DAY = 24 * 3600
#: build group -> the profile of a module whose packages it holds
PROFILES = {"build": "buildroot", "srpm-build": "srpm-buildroot"}
#: the build groups of a module's buildroot
GROUPS = tuple(PROFILES)


@dataclass(frozen=True)
class Put:
    """What came of asking that builds be tagged.

    Attributes:
        there: (tag, NVR) of what was tagged already.
        failed: The newest task that failed to tag what is missing; 0: none.
    """

    there: frozenset[tuple[str, str]] = frozenset()
    failed: int = 0


@dataclass(frozen=True)
class _Known:
    """What a hub knows of some builds and tags.

    Attributes:
        missing: (name of a tag, NVR) -> (number of the tag, of the build), for what is not tagged.
        tasks: Of this user, that tag: those that are open, and those that failed lately.
        owner: Of packages that have to be listed: the one that was wished for, if Koji knows the
            user.
    """

    missing: dict[tuple[str, str], tuple[int, int]]
    tasks: Sequence[dict[str, Any]]
    owner: str

    def open(self) -> Counter[tuple[int, int]]:
        """(tag, build) -> tasks that are open."""
        return Counter(_about(task) for task in self.tasks if task["state"] != _FAILED)

    def failed(self, since: float) -> dict[tuple[int, int], list[int]]:
        """(tag, build) -> tasks that failed and were made after a moment."""
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for task in self.tasks:
            if task["state"] == _FAILED and task["create_ts"] > since:
                found[_about(task)].append(task["id"])
        return found


def _about(task: Mapping[str, Any]) -> tuple[int, int]:
    """The numbers of the tag and of the build that a task is to put into it."""
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
    again: bool = True,
) -> Put:
    """Ask that builds be tagged, unless they are or are being so: a multicall that reads, one that asks.

    Args:
        since: When the module was started or resumed; what failed before does not count.
        owner: As whom their packages are listed in the tags first, if Koji knows the user; empty:
            they are listed.
        again: Ask also for what has been in the tag and was taken out of it.
        groups: Build group -> packages that are added to it in the first tag.
        bounded: Give up when the hub's tasks have failed ``MAX_TRIES`` times.

    Raises:
        BuildSystemError: ``koji_tag_refused`` when the hub's tasks for it failed several times.
    """
    if not nvrs:
        return Put()
    known = _read(hub, tags, nvrs, owner=owner, again=again)
    open_, failed = known.open(), known.failed(since)
    wanted = {names: ids for names, ids in known.missing.items() if not open_[ids]}
    if bounded and (refused := [names for names, ids in wanted.items() if len(failed[ids]) >= MAX_TRIES]):
        raise BuildSystemError(
            "Koji failed to tag " + ", ".join(f"{nvr} into {tag}" for tag, nvr in refused) + ".",
            code="koji_tag_refused",
            hint="Look at the failed tagBuild tasks of the service's user in Koji; resubmit when mended.",
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
    """Nothing, unless the hub refused a call for another reason than that another try was faster."""
    try:
        outcome(call)
    except BuildSystemError as refusal:
        if TAKEN not in refusal.message:
            raise


def _read(hub: Hub, tags: Sequence[str], nvrs: Sequence[str], *, owner: str, again: bool) -> _Known:
    own_name = str(hub.user["name"])
    pairs = [(name, nvr) for name in tags for nvr in nvrs]
    with hub.multicall() as calls:
        tag_infos = {name: calls.getTag(name, strict=True) for name in tags}
        builds = {nvr: calls.getBuild(nvr, strict=True) for nvr in nvrs}
        if again:
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
    if again:
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
    """Ask that builds be put into a module's tags, as ``put`` does.

    The macros package, a batch of its own, is added to the build groups: it must be in every buildroot. So
    are the packages of the module's own profiles when the components are tagged that the module flags for it.
    """
    tags = [build_tag(module), module.tag] if final else [build_tag(module)]
    groups = _groups(module, {nvr.rsplit("-", 2)[0] for nvr in nvrs})
    there = put(hub, tags, nvrs, since=module.since, groups=groups).there
    buildroot, in_final = (
        frozenset(nvr for nvr in nvrs if (name, nvr) in there) for name in (build_tag(module), module.tag)
    )
    return Tagged(buildroot, in_final)


def _groups(module: Module, packages: Set[str]) -> dict[str, list[str]]:
    """Build group -> what belongs into it from now on, since these packages are built."""
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
    """Which of these builds are in a module's tags by now. One round trip."""
    (found,) = tagged_of(hub, [(module, nvrs)])
    return found


def tagged_of(hub: Hub, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
    """The same for many modules, in one round trip."""
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
    """Which of these builds are not there any more, or not complete. One round trip."""
    with hub.multicall(strict=False) as calls:
        builds = {nvr: calls.getBuild(nvr) for nvr in nvrs}
    return {nvr for nvr, build in builds.items() if (outcome(build) or {}).get("state") != _COMPLETE}


def holding(hub: Hub, rpm: str, prefixes: tuple[str, ...]) -> list[str]:
    """The tags of modules that hold the build of an RPM, given by N-V-R.A, or a build, given by N-V-R.

    Args:
        prefixes: How the names of modules' tags begin.
    """
    with hub.multicall(strict=False) as calls:
        asked = [calls.getRPM(rpm), calls.getBuild(rpm)]
    # The hub refuses a name that cannot be one of an RPM, or of a build.
    known = [each.result for each in asked if succeeded(each) and each.result]
    # An RPM of an external repository has no build.
    if not known or not known[0]["build_id"]:
        return []
    names = [tag["name"] for tag in hub.call("listTags", known[0]["build_id"])]
    return [name for name in names if name.startswith(prefixes) and not name.endswith(BUILD_SUFFIX)]


def untag_all(hub: Hub, module: Module) -> None:
    """Take all builds out of a module's tags, so that Koji may clean them up."""
    names = build_tag(module), module.tag
    with hub.multicall(strict=False) as calls:
        listed = {name: calls.listTagged(name, strict=False) for name in names}
    with hub.multicall() as calls:
        for name, builds in listed.items():
            for build in builds.result:
                calls.untagBuild(name, build["nvr"], strict=False)
