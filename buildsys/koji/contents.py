"""List the RPMs that a tag provides for buildroots: from its builds, parents and external repositories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from buildsys.base import TaggedRpm
from buildsys.koji import external
from buildsys.koji.session import Hub

_SOURCES = ("src", "nosrc")


def rpms_in(
    hub: Hub, tags: Sequence[str], arches: Sequence[str], timeout: float
) -> dict[str, set[TaggedRpm]]:
    """Return the RPMs that each tag provides, with one round trip to the hub.

    Koji's own packages are those of the latest builds; external repositories provide everything in them.

    Args:
        arches: Architectures to read external repositories for.
        timeout: Seconds for the server of an external repository.

    Raises:
        BuildSystemUnavailable: The hub or an external repository cannot be read.
    """
    options = {"inherit": True, "latest": True}
    with hub.multicall() as calls:
        listed = {tag: calls.listTaggedRPMS(tag, **options) for tag in tags}
        repositories = {tag: calls.getExternalRepoList(tag) for tag in tags}
    found = {tag: set(_rpms(*answer.result)) for tag, answer in listed.items()}
    known: dict[str, set[TaggedRpm]] = {}
    for tag, answer in repositories.items():
        for url in dict.fromkeys(str(each["url"]) for each in answer.result):
            if url not in known:
                known[url] = external.rpms(url, arches, timeout)
            found[tag] |= known[url]
    return found


def versions_in(hub: Hub, tags: Sequence[str], packages: Iterable[str]) -> dict[str, set[TaggedRpm]]:
    """Return the RPMs of all builds of some packages instead of the latest, in one round trip."""
    options = {"inherit": True, "latest": False}
    wanted = list(packages)
    with hub.multicall() as calls:
        listed = {
            tag: [calls.listTaggedRPMS(tag, package=package, **options) for package in wanted] for tag in tags
        }
    return {
        tag: {rpm for answer in answers for rpm in _rpms(*answer.result)} for tag, answers in listed.items()
    }


def _rpms(rpms: Iterable[Mapping[str, Any]], builds: Iterable[Mapping[str, Any]]) -> Iterable[TaggedRpm]:
    nvrs = {build["build_id"]: build["nvr"] for build in builds}
    for rpm in rpms:
        if rpm["arch"] in _SOURCES:
            continue
        yield TaggedRpm(
            rpm["name"], rpm["epoch"] or 0, rpm["version"], rpm["release"], rpm["arch"], nvrs[rpm["build_id"]]
        )
