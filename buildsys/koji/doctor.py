"""Check what a hub lacks for this service to build on it, with the koji commands that add it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from buildsys.base import BuildSystemError, BuildSystemUnavailable
from buildsys.koji import tagging
from buildsys.koji.macros import make_srpm
from buildsys.koji.metadata import GENERATOR
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Hub, outcome
from mbs import macros
from mbs.errors import Problem
from mbs.nsvc import NSVC

#: Seconds for the server of repositories.
_PATIENCE = 10.0


def examine(hub: Hub, options: KojiOptions, tags: Sequence[str], bare: Sequence[str] = ()) -> list[Problem]:
    """Log in and return the problems that were found.

    Args:
        tags: Tags of base modules, which must exist and have architectures.
        bare: Those of them that need groups of their own for buildroots.
    """
    problems = [*_repositories(options), *_macros_package()]
    try:
        user = hub.user
        if not user:
            return [
                *problems,
                Problem("koji_anonymous", "The profile contains no way to log in.", hint="Set its authtype."),
            ]
        return [*problems, *_on_hub(hub, options, str(user["name"]), tags, bare)]
    except (BuildSystemUnavailable, BuildSystemError) as error:
        return [*problems, Problem(error.code, error.message, hint=error.hint)]


def _macros_package() -> list[Problem]:
    """Check that this machine can make the source RPM of a macros package."""
    text = macros.spec("", NSVC("doctor", "1", "1", "0"), "doctor")
    try:
        make_srpm(macros.PACKAGE, text)
    except (BuildSystemUnavailable, BuildSystemError) as error:
        return [Problem(error.code, error.message, hint=error.hint)]
    return []


def _repositories(options: KojiOptions) -> Iterator[Problem]:
    """Check that the address of repositories answers."""
    url = options.repository_url
    if not url.startswith(("http://", "https://")):
        return
    try:
        answer = httpx.head(url, timeout=_PATIENCE, follow_redirects=True)
        fault = f"answers {answer.status_code}" if answer.is_error else ""
    except httpx.HTTPError as error:
        fault = f"cannot be reached: {error}"
    if fault:
        yield Problem(
            "koji_repository_url",
            f"KOJI_REPOSITORY_URL {url} {fault}.",
            hint="Set it to the address under which the hub's folder repos is served.",
        )


def _on_hub(
    hub: Hub, options: KojiOptions, user: str, tags: Sequence[str], bare: Sequence[str]
) -> Iterator[Problem]:
    wanted_tags = dict.fromkeys(tags)
    if options.imports.enabled and options.imports.tag:
        wanted_tags[options.imports.default] = None
    with hub.multicall(strict=False) as calls:
        held = calls.getPerms()
        known = calls.getAllPerms()
        types = calls.listBTypes()
        generators = calls.listCGs()
        found = {name: calls.getTag(name) for name in wanted_tags}
        groups = {name: calls.getTagGroups(name) for name in bare}
        macros_target = calls.getBuildTarget(options.macros_target) if options.macros_target else None
    existing = {each["name"] for each in outcome(known)}
    yield from _permissions(_needed(hub, options), set(outcome(held)), existing, user)
    if options.imports.enabled:
        yield from _import(outcome(types), outcome(generators), user)
    for name, tag in found.items():
        yield from _tag(name, outcome(tag), needs_arches=name in tags)
        if name in groups and outcome(tag):
            yield from _groups(name, outcome(groups[name]))
    if macros_target is not None and outcome(macros_target) is None:
        hint = f"Run: koji add-target {options.macros_target} BUILD-TAG, or unset KOJI_BUILD_MACROS_TARGET."
        yield Problem("koji_target_missing", f"There is no target {options.macros_target}.", hint=hint)


def _needed(hub: Hub, options: KojiOptions) -> dict[str, str]:
    """Return permission -> its purpose."""
    needed = {"tag": "tags, their packages, groups and inheritance", "target": "build targets"}
    if options.tags.permission:
        needed[options.tags.permission] = "tagging into the tags of modules (KOJI_TAG_PERMISSION)"
    if not hub.has("repo.request"):
        needed["repo"] = "regenerating repositories, since this hub has no repo.request"
    if options.priority < 0:
        needed["admin"] = "KOJI_BUILD_PRIORITY below 0"
    return needed


def _permissions(needed: dict[str, str], held: set[str], existing: set[str], user: str) -> Iterator[Problem]:
    for name, purpose in needed.items():
        if not held & {name, "admin"}:
            new = "" if name in existing else "--new "
            yield Problem(
                "koji_permission_missing",
                f"{user} lacks the permission {name}, for {purpose}.",
                key=name,
                hint=f"Run as an admin: koji grant-permission {new}{name} {user}",
            )


def _import(types: Sequence[dict[str, Any]], generators: dict[str, Any], user: str) -> Iterator[Problem]:
    if "module" not in {each["name"] for each in types}:
        yield Problem(
            "koji_type_missing",
            "The hub has no build type module, which finished modules need.",
            hint="Run as an admin: koji call addBType module",
        )
    if user not in generators.get(GENERATOR, {}).get("users", ()):
        new = "" if GENERATOR in generators else " --new"
        yield Problem(
            "koji_generator_missing",
            f"{user} may not import as the content generator {GENERATOR}.",
            hint=f"Run as an admin: koji grant-cg-access{new} {user} {GENERATOR}",
        )


def _groups(name: str, groups: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    filled = {group["name"] for group in groups if group["packagelist"]}
    if missing := [group for group in tagging.GROUPS if group not in filled]:
        yield Problem(
            "koji_empty_buildroot",
            f"No build group defines the packages in buildroots of modules that are built on {name}.",
            key=name,
            hint="Give its document the profiles buildroot and srpm-buildroot, or run as an admin: "
            + "; ".join(
                f"koji add-group {name} {it}; koji add-group-pkg {name} {it} NAMES" for it in missing
            ),
        )


def _tag(name: str, tag: dict[str, Any] | None, *, needs_arches: bool) -> Iterator[Problem]:
    if tag is None:
        arches = "--arches=x86_64 " if needs_arches else ""
        yield Problem(
            "koji_tag_missing",
            f"There is no tag {name}.",
            key=name,
            hint=f"Run as an admin: koji add-tag {arches}{name}",
        )
    elif needs_arches and not tag["arches"]:
        yield Problem(
            "koji_tag_without_arches",
            f"The tag {name} has no architectures.",
            key=name,
            hint=f"Run as an admin: koji edit-tag --arches=x86_64 {name}",
        )
