"""Estimate how long builds take (docs/contract/koji.md, "Weights")."""

from __future__ import annotations

from collections.abc import Sequence

import koji

from buildsys.koji.session import Hub, outcome

_COMPLETE = koji.BUILD_STATES["COMPLETE"]


def expected_seconds(hub: Hub, packages: Sequence[str], marks: Sequence[str]) -> dict[str, float]:
    """Return package -> seconds of its last modular build, or the average of all its builds.

    Packages without history are left out. This takes one round trip.

    Args:
        marks: Prefixes of the dist tags of modular builds, for example ``module+``.
    """
    if not packages:
        return {}
    newest = {"order": "-build_id", "limit": 1}
    with hub.multicall(strict=False) as calls:
        last = {
            package: [
                calls.listBuilds(
                    packageID=package, state=_COMPLETE, pattern=f"{package}-*.{mark}*", queryOpts=newest
                )
                for mark in marks
            ]
            for package in packages
        }
        average = {package: calls.getAverageBuildDuration(package) for package in packages}
    seconds = {}
    for package in packages:
        builds = [build for found in last[package] for build in outcome(found)]
        times = [
            build["completion_ts"] - build["start_ts"]
            for build in builds
            if build["completion_ts"] and build["start_ts"] and build["task_id"]
        ]
        if times or (times := [each for each in [outcome(average[package])] if each]):
            seconds[package] = float(times[0])
    return seconds
