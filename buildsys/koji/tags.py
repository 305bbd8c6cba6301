"""Make the tags, inheritance, packages, groups and target that a module needs in Koji.

See docs/contract/koji.md, "What a module build leaves in Koji", point 1, and "Tags".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from buildsys.base import BuildSystemError, Module
from buildsys.koji.session import Hub, outcome, succeeded
from mbs.macros import PACKAGE as MACROS
from mbs.modulemd import StreamV2, parse_stream
from mbs.nsvc import BUILD_SUFFIX, MAX_TARGET

#: A call to be made in a multicall.
Change = Callable[[Any], object]
#: Extra options of a build tag that ``xmd.mbs_options`` may set.
_FROM_DOCUMENT = ("repo_include_all", "dynamic_buildrequires")
_WORDS = {"true": True, "false": False}


def build_tag(module: Module) -> str:
    """Return the name of the tag of a module's buildroot."""
    return f"{module.tag}{BUILD_SUFFIX}"


def target(module: Module) -> str:
    """Return the name of a module's build target: the name of its tag, or a hash if that is too long."""
    if len(module.tag) <= MAX_TARGET:
        return module.tag
    return module.nsvc.koji_target(module.id if module.scratch else None)


@dataclass(frozen=True)
class TagOptions:
    """Options of all tags of modules.

    Attributes:
        permission: Permission that tagging into them requires; empty for none.
        extra: Extra options of the tags.
    """

    permission: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wanted:
    """The desired state of a module's tags."""

    module: Module
    tags: Mapping[str, Mapping[str, Any]]
    packages: Mapping[str, Sequence[str]]
    blocked: Sequence[str]
    parents: Sequence[str]


def prepare(hub: Hub, module: Module, packages: Sequence[str], options: TagOptions) -> None:
    """Make or correct the tags and the target, in one multicall to read and another for changes.

    Args:
        packages: Source packages of the module's components.

    Raises:
        BuildSystemError: ``koji_tag_missing``: a buildrequired module has no tag in Koji.
    """
    wanted = _wanted(module, packages, options)
    changes = _differences(hub, wanted)
    failures = make(hub, changes)
    if failures and _differences(hub, wanted):
        # There are still differences, so it was not another process making the same changes.
        for failure in failures:
            outcome(failure)


def make(hub: Hub, changes: Sequence[Change]) -> list[Any]:
    """Make changes in one multicall, in order; return the calls that were refused."""
    if not changes:
        return []
    with hub.multicall(strict=False) as calls:
        promises = [change(calls) for change in changes]
    return [promise for promise in promises if not succeeded(promise)]


def _wanted(module: Module, packages: Sequence[str], options: TagOptions) -> _Wanted:
    document = parse_stream(module.modulemd, strict=False)
    own = document.xmd.get("mbs_options") if isinstance(document.xmd, dict) else None
    own = own if isinstance(own, dict) else {}
    extra = dict(options.extra) | {key: _value(own[key]) for key in _FROM_DOCUMENT if key in own}
    tag = {"arches": " ".join(module.arches), "perm": options.permission or None, "extra": extra}
    listed = _listed(document, packages)
    required = [module.buildrequires[name] for name in _in_order(document, module)]
    parents = [str(each["koji_tag"]) for each in required if each.get("koji_tag")]
    blocked = own.get("blocked_packages")
    return _Wanted(
        module=module,
        tags={module.tag: tag, build_tag(module): tag},
        packages={module.tag: listed, build_tag(module): [MACROS, *listed]},
        blocked=[str(name) for name in blocked if name not in listed] if isinstance(blocked, list) else [],
        parents=list(dict.fromkeys(parents)),
    )


def _in_order(document: StreamV2, module: Module) -> list[str]:
    """Return the required modules in the document's order, which a JSON column may not preserve."""
    noted = document.mbs.get("buildrequires")
    names = dict.fromkeys([*(noted if isinstance(noted, dict) else ()), *module.buildrequires])
    return [name for name in names if name in module.buildrequires]


def _listed(document: StreamV2, packages: Sequence[str]) -> list[str]:
    """Return the packages that may be tagged: the whitelist, or all components if there is none."""
    return sorted(set(document.buildopts.rpm_whitelist or packages))


def _value(text: object) -> object:
    """Return a value of ``xmd``, whose scalars are text."""
    return _WORDS.get(text.lower(), text) if isinstance(text, str) else text


def _differences(hub: Hub, wanted: _Wanted) -> list[Change]:
    """Read the current state and return the calls that change it to the desired state, in order."""
    module, build = wanted.module, build_tag(wanted.module)
    with hub.multicall(strict=False) as calls:
        tags = {name: calls.getTag(name) for name in wanted.tags}
        parents = {name: calls.getTag(name) for name in wanted.parents}
        listed = {
            name: calls.listPackages(tagID=name, inherited=False, with_owners=False) for name in wanted.tags
        }
        inheritance = calls.getInheritanceData(build)
        groups = calls.getTagGroups(build, incl_reqs=False)
        known_target = calls.getBuildTarget(target(module))
        owner = calls.getUser(module.owner)
    exists = {name: outcome(tag) for name, tag in tags.items()}
    links = _links({name: outcome(parent) for name, parent in parents.items()})
    there = exists[build] is not None
    owner_name = module.owner if outcome(owner) else str(hub.user["name"])
    return [
        *_tag_changes(exists, wanted),
        *_inheritance_changes(build, outcome(inheritance) if there else [], links),
        *_package_changes(
            {name: outcome(packages) if exists[name] else [] for name, packages in listed.items()},
            wanted,
            owner_name,
        ),
        *_group_changes(build, outcome(groups) if there else [], module.groups),
        *_target_changes(module, outcome(known_target)),
    ]


def _tag_changes(exists: Mapping[str, dict[str, Any] | None], wanted: _Wanted) -> Iterator[Change]:
    for name, values in wanted.tags.items():
        tag = exists[name]
        if tag is None:
            yield partial(call, "createTag", name, **values)
            continue
        extra = {key: value for key, value in values["extra"].items() if tag["extra"].get(key) != value}
        changed = {
            key: values[key] for key in ("arches", "perm") if (tag[key] or None) != (values[key] or None)
        }
        if extra or changed:
            yield partial(call, "editTag2", name, **changed, **({"extra": extra} if extra else {}))


def _links(parents: Mapping[str, dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Return inheritance data for ``setInheritanceData``, with earlier parents first."""
    missing = [name for name, tag in parents.items() if tag is None]
    if missing:
        raise BuildSystemError(
            f"Koji has no tag {', '.join(missing)}, which is recorded for a buildrequired module.",
            code="koji_tag_missing",
            hint="Import that module again with its tag in Koji, or make the tag.",
        )
    return [link(tag["id"], place * 10) for place, tag in enumerate(tag for tag in parents.values() if tag)]


def link(parent_id: int, priority: int) -> dict[str, Any]:
    """Return the row with which a tag inherits all of a parent; a lower priority number comes first."""
    return {
        "parent_id": parent_id,
        "priority": priority,
        "maxdepth": None,
        "intransitive": False,
        "noconfig": False,
        "pkg_filter": "",
    }


def _inheritance_changes(
    tag: str, current: Sequence[Mapping[str, Any]], links: list[dict[str, Any]]
) -> Iterator[Change]:
    seen = [{key: link[key] for key in links[0]} for link in current] if links else list(current)
    if sorted(seen, key=lambda link: link["priority"]) != links:
        yield partial(call, "setInheritanceData", tag, links, clear=True)


def _package_changes(
    listed: Mapping[str, Sequence[Mapping[str, Any]]], wanted: _Wanted, owner: str
) -> Iterator[Change]:
    for tag, packages in wanted.packages.items():
        blocked = {each["package_name"]: bool(each["blocked"]) for each in listed[tag]}
        for name in packages:
            if blocked.get(name):
                yield partial(call, "packageListUnblock", tag, name)
            elif name not in blocked:
                yield partial(call, "packageListAdd", tag, name, owner)
    tag = build_tag(wanted.module)
    blocked = {each["package_name"]: bool(each["blocked"]) for each in listed[tag]}
    for name in wanted.blocked:
        if name not in blocked:
            yield partial(call, "packageListAdd", tag, name, owner)
        if not blocked.get(name):
            yield partial(call, "packageListBlock", tag, name)


def _group_changes(
    tag: str, current: Sequence[Mapping[str, Any]], wanted: Mapping[str, Sequence[str]]
) -> Iterator[Change]:
    # Inherited groups count too, because for the hub adding them again is not a change.
    known = {group["name"]: {each["package"] for each in group["packagelist"]} for group in current}
    for group, packages in wanted.items():
        if group not in known:
            yield partial(call, "groupListAdd", tag, group)
        for package in packages:
            if package not in known.get(group, ()):
                yield partial(call, "groupPackageListAdd", tag, group, package)


def _target_changes(module: Module, current: Mapping[str, Any] | None) -> Iterator[Change]:
    names = target(module), build_tag(module), module.tag
    if current is None:
        yield partial(call, "createBuildTarget", *names)
    elif (current["build_tag_name"], current["dest_tag_name"]) != names[1:]:
        yield partial(call, "editBuildTarget", names[0], *names)


def call(method: str, /, *args: Any, **options: Any) -> Any:
    """Call ``method`` of a multicall, given as the last argument, for use with ``partial``."""
    *arguments, calls = args
    return getattr(calls, method)(*arguments, **options)


def ended_targets(hub: Hub, prefixes: Sequence[str]) -> dict[str, list[str]]:
    """Return tag of a module -> its targets, for all targets of modules, in one call."""
    found: dict[str, list[str]] = {}
    for each in hub.call("getBuildTargets"):
        ours = each["name"].startswith(tuple(f"{prefix}-" for prefix in prefixes))
        tag, build = each["dest_tag_name"], each["build_tag_name"]
        if ours and build.startswith(f"{tag}-") and build.endswith(BUILD_SUFFIX):
            found.setdefault(tag, []).append(each["name"])
    return found


def delete_targets(hub: Hub, names: Sequence[str]) -> None:
    """Delete targets; a missing one is not an error."""
    with hub.multicall(strict=False) as calls:
        deleted = {name: calls.deleteBuildTarget(name) for name in names}
    if failed := [name for name, call in deleted.items() if not succeeded(call)]:
        with hub.multicall() as calls:
            left = {name: calls.getBuildTarget(name) for name in failed}
        for name, call in left.items():
            if call.result is not None:
                outcome(deleted[name])


def base_arches(hub: Hub, tag: str) -> tuple[str, ...]:
    """Return the architectures of a tag."""
    info = hub.call("getTag", tag)
    return tuple(str(info["arches"] or "").split()) if info else ()
