"""The state of a hub double: users, tags with history, builds, tasks, repositories, and events."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from typing import Any

import koji

from tests.buildsys.koji.double.faults import Faults

TASK = koji.TASK_STATES
BUILD = koji.BUILD_STATES
REPO = koji.REPO_STATES
Row = dict[str, Any]


@dataclass
class Tag:
    """A tag. ``listing`` contains [build id, event when tagged, event when untagged or None]."""

    id: int
    name: str
    arches: str | None
    perm: str | None
    extra: Row
    locked: bool = False
    packages: dict[str, Row] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    parents: list[Row] = field(default_factory=list)
    listing: list[list[Any]] = field(default_factory=list)
    external: list[Row] = field(default_factory=list)
    changed: int = 0

    def entries(self, build_id: int) -> list[list[Any]]:
        """Return the current entries of a build."""
        return [entry for entry in self.listing if entry[0] == build_id and entry[2] is None]


@dataclass
class Task:
    """A task; ``work`` is called at its end, and returns its result or raises."""

    id: int
    method: str
    request: list[Any]
    owner: int
    created: float
    ends: float
    work: Callable[[Task], Any] = lambda task: None
    state: int = TASK["FREE"]
    started: float | None = None
    ended: float | None = None
    result: Any = None
    fault: Exception | None = None
    parent: int | None = None
    #: Name of an output file -> content.
    output: dict[str, str] = field(default_factory=dict)
    #: The repository request that a build waits for, and its duration afterwards.
    awaits: Row | None = None
    seconds: float = 0


class Books:
    """See the module's docstring. Callers hold the server's lock."""

    def __init__(
        self,
        faults: Faults,
        *,
        build_seconds: float,
        repo_seconds: float,
        tag_seconds: float,
        wait_seconds: float = 0,
    ) -> None:
        self.faults = faults
        #: Interval in which a builder checks for a repository; 0: it notices at once.
        self.wait_seconds = wait_seconds
        #: Name of a repository -> name in its spec file, if that differs.
        self.spec_names: dict[str, str] = {}
        self.seconds = {"build": build_seconds, "newRepo": repo_seconds, "tagBuild": tag_seconds}
        self.ids: defaultdict[str, count[int]] = defaultdict(lambda: count(1))
        self.events: list[float] = [0.0]
        self.users: dict[str, Row] = {}
        self.tags: dict[str, Tag] = {}
        self.targets: dict[str, Row] = {}
        self.builds: dict[int, Row] = {}
        self.numbers: dict[str, int] = {}
        self.rpms: dict[int, Row] = {}
        self.rpms_of: defaultdict[int, list[Row]] = defaultdict(list)
        self.tasks: dict[int, Task] = {}
        #: All tasks that are not closed, which are few, for queries by state.
        self.unclosed: dict[int, Task] = {}
        self.open: set[int] = set()
        self.repos: dict[int, Row] = {}
        self.requests: dict[int, Row] = {}
        self.archives: dict[int, list[Row]] = {}
        self.uploads: dict[str, dict[str, bytes]] = {}
        self.uploaders: dict[str, int] = {}
        #: path below ``topurl`` -> content
        self.files: dict[str, bytes] = {}
        self.permissions: set[str] = set()
        self.btypes = {"rpm", "maven", "win", "image"}
        self.generators: dict[str, set[str]] = {}
        self.messages: list[tuple[str, Row]] = []
        self.listeners: list[Callable[[str, Row], None]] = []

    def event(self) -> int:
        """Return a new event; each change of a tag has one."""
        self.events.append(time.time())
        return len(self.events) - 1

    def changed(self, tag: Tag) -> int:
        tag.changed = self.event()
        return tag.changed

    def last_change(self, tag: Tag) -> int:
        return max(each.changed for each in [tag, *self.ancestors(tag)])

    def ancestors(self, tag: Tag) -> list[Tag]:
        """Return the tags that a tag inherits from, nearest first."""
        found: list[Tag] = []
        for link in sorted(tag.parents, key=lambda link: link["priority"]):
            parent = self.tag_by_id(link["parent_id"])
            found += [each for each in [parent, *self.ancestors(parent)] if each not in found]
        return found

    def tag_by_id(self, number: int) -> Tag:
        return next(tag for tag in self.tags.values() if tag.id == number)

    def publish(self, topic: str, body: Row) -> None:
        if self.faults.lose_messages:
            return
        body = {"instance": "primary", **body}
        self.messages.append((topic, body))
        for listener in self.listeners:
            listener(topic, body)

    # -- tasks -------------------------------------------------------------------------------------------

    def make_task(
        self,
        method: str,
        request: list[Any],
        owner: int,
        work: Callable[[Task], Any],
        seconds: float | None = None,
    ) -> Task:
        now = time.time()
        took = self.seconds.get(method, 0) if seconds is None else seconds
        task = Task(next(self.ids["task"]), method, request, owner, now, now + took, work, seconds=took)
        self.tasks[task.id] = self.unclosed[task.id] = task
        self.open.add(task.id)
        return task

    def tick(self) -> None:
        """End all tasks whose time is over, in order."""
        now = time.time()
        for number in list(self.open):
            task = self.tasks[number]
            if task.state == TASK["FREE"]:
                task.state, task.started = TASK["OPEN"], task.created
                self._begin(task)
            elif task.awaits:
                self._look_for_repo(task)
        due = [task for task in map(self.tasks.__getitem__, self.open) if task.ends <= now]
        for task in sorted(due, key=lambda task: task.ends):
            if task.id in self.open:
                self._end(task)

    def _look_for_repo(self, task: Task) -> None:
        """End the wait of a build; a sleeping builder notices a repository only at its next check."""
        request = task.awaits
        if request is None or (request["active"] and not request["repo_id"]):
            return
        task.awaits = None
        waited, pause = time.time() - task.created, self.wait_seconds
        looked = task.created + (ceil(waited / pause) * pause if pause else waited)
        task.ends = looked + task.seconds

    def _begin(self, task: Task) -> None:
        if task.method == "newRepo":
            # A repository contains its tag's state at the begin of its task.
            task.result = self.event()

    def _end(self, task: Task) -> None:
        try:
            task.result = task.work(task)
            self.close(task, "CLOSED")
        except (koji.GenericError, koji.xmlrpcplus.Fault) as error:
            task.fault = error
            self.close(task, "FAILED")

    def close(self, task: Task, state: str) -> None:
        """End a task. Koji sends messages for some tasks only, not for repositories and tagging."""
        self.open.discard(task.id)
        if state == "CLOSED":
            del self.unclosed[task.id]
        old, task.state, task.ended = task.state, TASK[state], time.time()
        for child in [self.tasks[number] for number in self.open if self.tasks[number].parent == task.id]:
            self.close(child, state)
        # koji-fedoramessaging publishes changes of the tasks of scratch builds only.
        if task.method == "build" and task.request[2].get("scratch"):
            self.publish(
                "buildsys.task.state.change",
                {
                    "id": task.id,
                    "method": task.method,
                    "attribute": "state",
                    "old": koji.TASK_STATES[old],
                    "new": state,
                    "info": {"id": task.id},
                    "owner": "mbs",
                    "srpm": None,
                },
            )

    def info(self, task: Task, *, request: bool = False) -> Row:
        row: Row = {
            "id": task.id,
            "method": task.method,
            "state": task.state,
            "owner": task.owner,
            "create_ts": task.created,
            "start_ts": task.started,
            "completion_ts": task.ended,
            "arch": "noarch",
            "label": None,
            "parent": task.parent,
            "host_id": None,
        }
        return row | ({"request": task.request} if request else {})

    # -- builds ------------------------------------------------------------------------------------------

    def build(self, info: Any) -> Row | None:
        """Return a build by id, NVR, or a row that names it."""
        if isinstance(info, int):
            return self.builds.get(info)
        if isinstance(info, str):
            parts = info.rsplit("-", 2)
            if len(parts) < 3 or not all(parts):
                raise koji.GenericError(f"invalid NVR: {info}")
            nvr = info
        else:
            nvr = "{name}-{version}-{release}".format(**info)
        return self.builds.get(self.numbers.get(nvr, 0))

    def new_build(self, nvr: str, state: str, **values: Any) -> Row:
        """Make a build; a failed or cancelled build of this NVR is reused with its id.

        Raises:
            koji.GenericError: There is a build in another state.
        """
        known = self.build(nvr)
        if known and known["state"] not in (BUILD["FAILED"], BUILD["CANCELED"]):
            state_name = koji.BUILD_STATES[known["state"]]
            raise koji.GenericError(f"Build already exists (id={known['id']}, state={state_name}): {nvr!r}")
        number = known["id"] if known else next(self.ids["build"])
        name, version, release = nvr.rsplit("-", 2)
        now = time.time()
        row: Row = {
            "id": number,
            "build_id": number,
            "nvr": nvr,
            "name": name,
            "package_name": name,
            "version": version,
            "release": release,
            "epoch": None,
            "state": BUILD[state],
            "task_id": None,
            "source": None,
            "extra": None,
            "owner_name": "mbs",
            "creation_ts": now,
            "start_ts": now,
            "completion_ts": now if state == "COMPLETE" else None,
        }
        self.builds[number] = row | values
        self.numbers[nvr] = number
        return self.builds[number]

    def set_state(self, build: Row, state: str) -> None:
        old, build["state"] = build["state"], BUILD[state]
        build["completion_ts"] = time.time()
        self.publish(
            "buildsys.build.state.change",
            {
                "build_id": build["id"],
                "name": build["name"],
                "version": build["version"],
                "release": build["release"],
                "epoch": None,
                "attribute": "state",
                "old": old,
                "new": build["state"],
                "task_id": build["task_id"],
                "owner": build["owner_name"],
            },
        )

    def listed(self, tag: Tag, *, event: int | None = None, inherit: bool = False) -> list[Row]:
        """Return the builds in a tag at an event: own before inherited ones, the latest tagged first."""
        found: list[Row] = []
        for each in [tag, *(self.ancestors(tag) if inherit else [])]:
            rows = [
                entry
                for entry in each.listing
                if (entry[2] is None if event is None else entry[1] <= event < (entry[2] or event + 1))
            ]
            for number, created, _ in sorted(rows, key=lambda entry: -entry[1]):
                build = self.builds[number]
                if build["state"] == BUILD["COMPLETE"]:
                    found.append(build | {"tag_name": each.name, "tag_id": each.id, "create_event": created})
        return found
