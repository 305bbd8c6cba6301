"""Compare two builds of a module: components, buildrequires, RPMs and documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from builds.models import CommitRange, ComponentBuild, FinalModulemd, ModuleBuild, Submission
from builds.services import commits
from builds.services.build_system import as_module, build_system
from builds.shapes.comparison import (
    BuildrequireDifference,
    CommitSubject,
    ComparedBuild,
    ComparedComponent,
    Comparison,
    ComponentDifference,
    DependencyDifference,
    ListedRpm,
    RpmDifference,
    RpmDifferences,
)
from buildsys.base import BuildSystemError
from buildsys.recorded import BuiltPackage, RecordsRpms
from mbs.final import SOURCE
from mbs.modulemd import parse_stream
from mbs.nsvc import NSVC
from mbs.reuse import brief
from mbs.states import BuildState, ComponentState
from scm.forges import commit_page, comparison_page

#: Max RPMs to compare, and max dependencies to list for each.
MAX_RPMS, MAX_DEPENDENCIES = 5000, 100
#: The documents of a build that can be compared, by name.
DOCUMENTS = ("submitted", "expanded", "final")
#: Kinds of changes in the order of a comparison, and those that are none.
CHANGES = ("commit", "added", "removed", "rebuilt", "same", "reused")
UNCHANGED = ("same", "reused")
#: Max components of a comparison.
MAX_COMPONENTS = 1000

Change = Literal["added", "removed", "commit", "reused", "rebuilt", "same"]
#: Name and architecture of an RPM.
_Key = tuple[str, str]


@dataclass(frozen=True)
class Rpm:
    """An RPM of a finished module.

    Attributes:
        evr: Epoch, version and release.
        size: Size in bytes; None if the build system does not record it.
        requires: Dependencies as texts; None if the build system does not record them.
        provides: Provided capabilities, likewise.
    """

    name: str
    evr: str
    arch: str
    size: int | None = None
    requires: frozenset[str] | None = None
    provides: frozenset[str] | None = None

    @property
    def nevra(self) -> str:
        """Return the name as it is written in modulemd documents."""
        return f"{self.name}-{self.evr}.{self.arch}"


def former(build: ModuleBuild) -> ModuleBuild | None:
    """Return the last ready build of the stream before a build, which is the default to compare with.

    Builds of the same context are preferred.
    """
    rows = ModuleBuild.objects.defer("modulemd").filter(
        name=build.name, stream=build.stream, state=BuildState.READY, scratch=False, pk__lt=build.pk
    )
    return rows.filter(context=build.context).order_by("-id").first() or rows.order_by("-id").first()


def compare(old: ModuleBuild, new: ModuleBuild, *, everything: bool = False, client: str = "") -> Comparison:
    """Return the differences of two builds.

    Args:
        old: A build.
        new: Another build.
        everything: Whether to include the components that did not change.
        client: Address of the client, for which git is asked a few times only; empty: unknown.
    """
    pairs = commits.ranges(old, new)
    read = commits.stored(pairs)
    components = sorted(_components(old, new, read), key=lambda each: CHANGES.index(each["change"]))
    unchanged = sum(each["change"] in UNCHANGED for each in components)
    shown = components if everything else components[: len(components) - unchanged]
    missing = len(read) < min(len(pairs), commits.MAX_RANGES)
    return {
        "old": _build(old),
        "new": _build(new),
        "components": shown[:MAX_COMPONENTS],
        "unchanged": unchanged,
        "more_components": max(0, len(shown) - MAX_COMPONENTS),
        "reading_commits": missing and commits.request(old, new, client),
        "buildrequires": list(_buildrequires(old, new)),
        "rpms": _rpms(old, new),
    }


def documents(build: ModuleBuild) -> dict[str, str]:
    """Return the documents of a build by the names in ``DOCUMENTS``; an empty text for those not recorded.

    The final document is that of the first architecture.
    """
    submission = Submission.objects.filter(module_build=build).first()
    finals = FinalModulemd.objects.filter(module_build=build).exclude(arch=SOURCE).order_by("arch")
    final = finals.values_list("document", flat=True).first()
    return {
        "submitted": submission.document if submission else "",
        "expanded": build.modulemd,
        "final": final or "",
    }


def _build(build: ModuleBuild) -> ComparedBuild:
    return {
        "id": build.pk,
        "nsvc": str(build.nsvc),
        "state_name": build.state_name,
        "commit": build.commit or None,
        "time_submitted": build.time_submitted,
    }


def _components(
    old: ModuleBuild, new: ModuleBuild, read: Mapping[str, CommitRange]
) -> Iterator[ComponentDifference]:
    olds, news = ({each.package: each for each in _rows(build)} for build in (old, new))
    for package in sorted({*olds, *news}):
        before, now = olds.get(package), news.get(package)
        page, found = "", read.get(package)
        if before and now and before.scmurl == now.scmurl and before.ref != now.ref:
            page = comparison_page(now.scmurl, before.ref, now.ref)
        yield {
            "package": package,
            "change": _change(before, now),
            "old": _component(before),
            "new": _component(now),
            "why": brief(now.reuse_code, now.reuse_detail) or None if now else None,
            "url": page or None,
            "commits": _subjects(now, found.subjects if found else None),
            "more_commits": bool(found and found.more),
        }


def _subjects(component: ComponentBuild | None, found: Any) -> list[CommitSubject] | None:
    if component is None or found is None:
        return None
    return [
        {"commit": commit, "subject": text, "url": commit_page(component.scmurl, commit) or None}
        for commit, text in found
    ]


def _rows(build: ModuleBuild) -> Iterable[ComponentBuild]:
    return build.component_builds.filter(build_time_only=False).order_by("package")


def _change(old: ComponentBuild | None, new: ComponentBuild | None) -> Change:
    """Return how a component changed.

    Returns:
        ``added``, ``removed``, ``commit``, ``reused`` (the same result) or ``rebuilt``.
    """
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if old.ref != new.ref:
        return "commit"
    if new.nvr and new.nvr == old.nvr:
        return "reused"
    return "rebuilt" if new.state == ComponentState.COMPLETE else "same"


def _component(component: ComponentBuild | None) -> ComparedComponent | None:
    if component is None:
        return None
    started, completed = component.time_started, component.time_completed
    seconds = None
    if component.reused_component_id is None and started and completed:
        seconds = max(0.0, (completed - started).total_seconds())
    return {
        "ref": component.ref,
        "url": commit_page(component.scmurl, component.ref) or None,
        "nvr": component.nvr,
        "state_name": component.state_name,
        "seconds": seconds,
    }


def _buildrequires(old: ModuleBuild, new: ModuleBuild) -> Iterator[BuildrequireDifference]:
    """Yield the buildrequires that differ."""
    for name in sorted({*old.buildrequires, *new.buildrequires}):
        before, now = _requirement(old.buildrequires, name), _requirement(new.buildrequires, name)
        if before != now:
            yield {"name": name, "old": before, "new": now}


def _requirement(requires: Mapping[str, Any], name: str) -> str | None:
    found = requires.get(name)
    if not isinstance(found, Mapping):
        return None
    return NSVC.of(found).svc


def _rpms(old: ModuleBuild, new: ModuleBuild) -> RpmDifferences | None:
    """Return the RPMs that differ; None unless the RPMs of both builds are recorded."""
    olds, news = _content(old), _content(new)
    if olds is None or news is None:
        return None
    pairs = ((olds[key], news[key]) for key in sorted(olds.keys() & news.keys()))
    return {
        "added": [_alone(news[key]) for key in sorted(news.keys() - olds.keys())],
        "removed": [_alone(olds[key]) for key in sorted(olds.keys() - news.keys())],
        "changed": [_pair(before, now) for before, now in pairs if before.evr != now.evr],
        "same": sum(olds[key].evr == news[key].evr for key in olds.keys() & news.keys()),
    }


def _alone(rpm: Rpm) -> ListedRpm:
    return {"nevra": rpm.nevra, "size": rpm.size}


def _pair(old: Rpm, new: Rpm) -> RpmDifference:
    return {
        "name": new.name,
        "arch": new.arch,
        "old": old.evr,
        "new": new.evr,
        "old_size": old.size,
        "new_size": new.size,
        "requires": _difference(old.requires, new.requires),
        "provides": _difference(old.provides, new.provides),
    }


def _difference(old: frozenset[str] | None, new: frozenset[str] | None) -> DependencyDifference | None:
    """Return added and removed dependencies; None if they are equal, or not recorded for both RPMs."""
    if old is None or new is None or old == new:
        return None
    return {
        "added": sorted(new - old)[:MAX_DEPENDENCIES],
        "removed": sorted(old - new)[:MAX_DEPENDENCIES],
    }


def _content(build: ModuleBuild) -> dict[_Key, Rpm] | None:
    """Return the RPMs of a finished build by name and architecture; None if they are not recorded."""
    if build.state not in (BuildState.DONE, BuildState.READY, BuildState.GARBAGE):
        return None
    texts = FinalModulemd.objects.filter(module_build=build).exclude(arch=SOURCE)
    names: set[str] = set()
    sizes: dict[str, int] = {}
    for text, known in texts.order_by("arch").values_list("document", "sizes"):
        names.update(islice(parse_stream(text, strict=False).artifact_rpms, MAX_RPMS))
        sizes.update(known or {})
    parsed = (_parsed(name, sizes.get(name)) for name in sorted(names)[:MAX_RPMS])
    listed = {(rpm.name, rpm.arch): rpm for rpm in parsed if rpm}
    recorded = _recorded(build)
    return {key: recorded.get(rpm.nevra, rpm) for key, rpm in listed.items()} or None


def _recorded(build: ModuleBuild) -> dict[str, Rpm]:
    """Return the RPMs whose sizes and dependencies the build system recorded, by NEVRA."""
    system = build_system()
    if not isinstance(system, RecordsRpms):
        return {}
    try:
        found: Sequence[BuiltPackage] = list(islice(system.recorded_rpms(as_module(build)), MAX_RPMS))
    except (BuildSystemError, OSError):
        return {}
    dist = f".{build.disttag}"
    rpms = (
        Rpm(
            each.name,
            each.evr,
            each.arch,
            each.size,
            _plain(each.requires, dist),
            _plain(each.provides, dist),
        )
        for each in found
    )
    return {rpm.nevra: rpm for rpm in rpms}


def _plain(dependencies: Iterable[str] | None, dist: str) -> frozenset[str] | None:
    """Return dependencies without the dist tag, which differs between builds."""
    return None if dependencies is None else frozenset(each.replace(dist, "") for each in dependencies)


def _parsed(nevra: str, size: int | None) -> Rpm | None:
    rest, _, arch = nevra.rpartition(".")
    name_version, _, release = rest.rpartition("-")
    name, _, version = name_version.rpartition("-")
    return Rpm(name, f"{version}-{release}", arch, size) if name and version and release and arch else None
