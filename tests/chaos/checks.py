"""Invariants that must hold when all builds have ended. Each check yields the violations that it finds."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Protocol

import httpx
from django.db.models import QuerySet

from builds.models import (
    ComponentBuild,
    ComponentBuildTrace,
    ModuleBuild,
    ModuleBuildTrace,
    OutboxMessage,
    Wait,
)
from mbs.states import ACTIVE, TRANSITIONS, BuildState, ComponentState
from tests.buildsys.koji.double.state import BUILD, TASK
from tests.chaos.kinds import World
from tests.chaos.modules import PlannedModule

MODULE, COMPONENT = "mbs.module.state.change", "mbs.component.state.change"
#: The fake hub's reasons for components that were made to fail.
MADE_TO_FAIL = re.compile(r"exited with status|flaky|build failed")
#: Number of module builds whose event streams are read.
STREAMS = 40


class Run(World, Protocol):
    """The parts of a run that checks examine.

    Attributes:
        slots: Max concurrent builds.
        received: Topic, id and body of each message of the service, in the order of arrival.
    """

    slots: int
    received: list[tuple[str, str, Any]]


Check = Callable[[Run], Iterator[str]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Register a check."""
    CHECKS.append(function)
    return function


def builds() -> QuerySet[ModuleBuild]:
    """Return the module builds that were submitted."""
    return ModuleBuild.objects.exclude(name="platform")


@check
def accepted_submissions_are_recorded_once(run: Run) -> Iterator[str]:
    """Each accepted submission has exactly one build."""
    found = Counter(id(run.module_of(build.name, build.version)) for build in builds())
    for module in run.modules:
        if module.accepted and found[id(module)] != 1:
            yield f"{module.name}:{module.version} was accepted and is there {found[id(module)]} times"


@check
def builds_end_as_they_must(run: Run) -> Iterator[str]:
    """Builds end, and fail only for the intended reasons."""
    for build in builds():
        module = run.module_of(build.name, build.version)
        where = f"build {build.pk} {build.nsvc}"
        if build.state in ACTIVE or build.state == BuildState.DONE:
            yield f"{where} is stuck: {_position(build)}"
        elif build.state == BuildState.FAILED and not _may_fail(build, module):
            yield f"{where} failed ({build.error_code}): {(build.state_reason or '')[:400]}"
        elif build.state == BuildState.READY:
            if module.bad:
                yield f"{where} is ready although {module.bad} cannot be built"
            rest = build.component_builds.exclude(state=ComponentState.COMPLETE)
            if rest.exists():
                yield f"{where} is ready with {list(rest.values_list('package', 'state'))}"


def _position(build: ModuleBuild) -> str:
    waits = [f"{wait.key} ({wait.what[:80]})" for wait in build.waits.all()[:5]]
    states = Counter(build.component_builds.filter(batch=build.batch).values_list("state", flat=True))
    return (
        f"{build.state_name}, run {build.run}, batch {build.batch} of {build.batches} {build.phase},"
        f" components {dict(states)}, no progress since {build.progress_at}, waits {waits}"
    )


def _may_fail(build: ModuleBuild, module: PlannedModule) -> bool:
    """Return whether a build failed because it was cancelled or a component was made to fail."""
    if build.error_code == "canceled":
        return bool(module.canceled)
    ended = build.component_builds.filter(state__in=(ComponentState.FAILED, ComponentState.CANCELED))
    reasons = {component.package: component.state_reason or "" for component in ended}
    made = reasons.keys() <= {*module.bad, *module.flaky}
    return bool(reasons) and made and all(map(MADE_TO_FAIL.search, reasons.values()))


@check
def components_are_built_once(run: Run) -> Iterator[str]:
    """No component is built concurrently, or again after a success."""
    tasks = defaultdict(list)
    for task in run.hub.builds():
        options = task.request[2]
        tasks[options["mbs_module_target"], options["mbs_artifact_name"]].append(task)
    known = {build.koji_tag: build.pk for build in builds()}
    for (target, package), found in tasks.items():
        found.sort(key=lambda task: task.created)
        where = f"{package} of build {known.get(target)}: {[_shown(task) for task in found]}"
        if target not in known:
            yield f"built for an unknown target {target}: {where}"
        if sum(task.state == TASK["CLOSED"] for task in found) > 1:
            yield f"two builds succeeded: {where}"
        for former, later in pairwise(found):
            if former.ended is None or later.created < former.ended:
                yield f"two builds at the same time: {where}"
        if any(task.fault and "already exists" in str(task.fault) for task in found):
            yield f"built again after a success: {where}"
        if any(task.ended is None for task in found):
            yield f"still builds: {where}"
    complete = ComponentBuild.objects.filter(
        state=ComponentState.COMPLETE, reused_component=None, module_build__in=builds()
    )
    for component in complete.select_related("module_build"):
        found = tasks.get((component.module_build.koji_tag, component.package), [])
        if not any(task.id == component.task_id and task.state == TASK["CLOSED"] for task in found):
            yield f"{component} is complete, but its task {component.task_id} did not build it"


def _shown(task: Any) -> str:
    state = next(word for word, number in TASK.items() if number == task.state)
    seconds = "" if task.ended is None else f" {task.ended - task.created:.2f} s"
    return f"{task.id} {state}{seconds} {task.fault or ''}"


@check
def every_change_is_published_once_and_in_order(run: Run) -> Iterator[str]:
    """Every change is published exactly once and in order."""
    order: dict[int, list[str]] = defaultdict(list)
    seen = set()
    for topic, number, body in run.received:
        if number not in seen:
            seen.add(number)
            order[body["id"] if topic.endswith(MODULE) else body["module_build"]].append(number)
    for build in builds():
        rows = list(OutboxMessage.objects.filter(module_build=build).order_by("id"))
        numbers = [str(row.message_id) for row in rows]
        missing = [row for row in rows if str(row.message_id) not in seen]
        if missing:
            yield f"build {build.pk}: {len(missing)} messages are missing, the first is {missing[0].topic}"
        elif order[build.pk] != numbers:
            yield f"build {build.pk}: messages arrived in another order than the changes"
        yield from _check_module_messages(build, rows)
        yield from _check_component_messages(build, rows)


def _check_module_messages(build: ModuleBuild, rows: list[OutboxMessage]) -> Iterator[str]:
    published = [row.body["state"] for row in rows if row.topic.endswith(MODULE)]
    states = list(
        ModuleBuildTrace.objects.filter(module_build=build).order_by("id").values_list("state", flat=True)
    )
    if published != states:
        yield f"build {build.pk}: published the states {published}, went through {states}"
    for old, new in pairwise(states):
        if BuildState(new) not in TRANSITIONS[BuildState(old)]:
            yield f"build {build.pk}: went from {old} to {new}"
    if states and (states[0], states[-1]) != (BuildState.INIT, build.state):
        yield f"build {build.pk}: is {build.state_name} and went through {states}"


def _check_component_messages(build: ModuleBuild, rows: list[OutboxMessage]) -> Iterator[str]:
    published = Counter((row.body["id"], row.body["state"]) for row in rows if row.topic.endswith(COMPONENT))
    traces = ComponentBuildTrace.objects.filter(component_build__module_build=build)
    happened = Counter(traces.values_list("component_build_id", "state"))
    if published != happened:
        unpublished, extra = dict(happened - published), dict(published - happened)
        yield f"build {build.pk}: unpublished changes of components {unpublished}, extra messages {extra}"


@check
def nothing_is_left(run: Run) -> Iterator[str]:
    """No waits, slots, leases, outbox rows or transactions are left."""
    left: dict[str, QuerySet[Any]] = {
        "waits": Wait.objects.all(),
        "slots": ComponentBuild.objects.filter(state=ComponentState.BUILDING),
        "submission leases": ComponentBuild.objects.exclude(submitting_until=None),
        "outbox rows": OutboxMessage.objects.filter(published_at=None),
        "outbox leases": ModuleBuild.objects.exclude(publishing_until=None),
        "failed builds that the hub was not told of": ModuleBuild.objects.exclude(abandon_since=None),
    }
    for name, rows in left.items():
        number = rows.count()
        if number:
            yield f"{number} {name} are left: {[str(row) for row in rows[:4]]}"
    for row in run.postgres.query(
        "SELECT pid, state, left(query, 100) FROM pg_stat_activity"
        " WHERE state LIKE 'idle in%' AND now() - state_change > interval '5 s'"
    ):
        yield f"a transaction that does not end: {row}"


@check
def batches_follow_each_other(run: Run) -> Iterator[str]:
    """A component starts after everything that it needs is tagged and in a repository."""
    history = _tag_history(run)
    started = defaultdict(list)
    for task in run.hub.builds():
        options = task.request[2]
        started[options["mbs_module_target"]].append((options["mbs_artifact_name"], task.created))
    for build in builds():
        rows = {component.package: component for component in build.component_builds.all()}
        tagged, repositories = history.get(f"{build.koji_tag}-build", ({}, []))
        for package, created in started[build.koji_tag]:
            batch = rows[package].batch
            needed = [name for name, row in rows.items() if row.batch < batch] + rows[package].build_after
            late = [name for name in needed if name not in tagged or tagged[name][1] > created]
            if late:
                yield f"build {build.pk}: {package} was submitted before {late[:3]} were tagged"
            elif needed and not any(
                ended <= created and all(tagged[name][0] <= event for name in needed)
                for ended, event in repositories
            ):
                yield f"build {build.pk}: {package} was submitted before a repository held {needed[:3]}"


def _tag_history(run: Run) -> dict[str, tuple[dict[str, tuple[int, float]], list[tuple[float, int]]]]:
    """Return for each tag its packages (event and time of tagging) and its repositories (end, event)."""
    with run.hub.lock:
        books = run.hub.books
        found: dict[str, Any] = {}
        for tag in books.tags.values():
            packages = {
                books.builds[number]["name"]: (event, books.events[event]) for number, event, _ in tag.listing
            }
            found[tag.name] = packages, []
        for repo in books.repos.values():
            found[repo["tag_name"]][1].append((books.tasks[repo["task_id"]].ended, repo["create_event"]))
        return found


@check
def slots_are_kept(run: Run) -> Iterator[str]:
    """There are never more concurrent builds than slots."""
    tasks = run.hub.builds()
    marks = sorted([(task.created, 1) for task in tasks] + [(task.ended or 1e18, -1) for task in tasks])
    now = most = 0
    for _, step in marks:
        now += step
        most = max(most, now)
    if most > run.slots:
        yield f"{most} builds at the same time, {run.slots} are allowed"


@check
def ready_modules_are_in_koji(run: Run) -> Iterator[str]:
    """Ready modules are imported into Koji and tagged."""
    with run.hub.lock:
        books = run.hub.books
        inside = {
            name: {books.builds[number]["nvr"] for number, _, gone in tag.listing if gone is None}
            for name, tag in books.tags.items()
        }
        states = {build["nvr"]: build["state"] for build in books.builds.values()}
    for build in builds().filter(state=BuildState.READY):
        for component in build.component_builds.all():
            tags = [f"{build.koji_tag}-build"] + [str(build.koji_tag)] * (not component.build_time_only)
            for tag in tags:
                if component.nvr not in inside.get(tag, ()):
                    yield f"build {build.pk} is ready, {component.nvr} is not in {tag}"
        for suffix in ("", "-devel"):
            nvr = f"{build.name}{suffix}-{build.stream}-{build.version}.{build.context}"
            if states.get(nvr) != BUILD["COMPLETE"]:
                yield f"build {build.pk} is ready, {nvr} is not imported"
            elif nvr not in inside["f40-modular-updates-candidate"]:
                yield f"build {build.pk} is ready, {nvr} is not tagged as a candidate"


@check
def event_streams_are_complete(run: Run) -> Iterator[str]:
    """Event streams contain every change."""
    for build in builds().order_by("?")[:STREAMS]:
        url = f"{run.client.root}/module-builds/{build.pk}/events"
        try:
            answer = httpx.get(url, timeout=20)
        except httpx.HTTPError as error:
            yield f"build {build.pk}: its events cannot be read: {error!r}"
            continue
        kinds = Counter(re.findall(r"^event: (\S+)", answer.text, re.MULTILINE))
        states = build.state_trace.count()
        components = ComponentBuildTrace.objects.filter(component_build__module_build=build).count()
        if (kinds["state"], kinds["component"]) != (states, components):
            yield f"build {build.pk}: its stream has {dict(kinds)}, but there were {states} and {components}"
