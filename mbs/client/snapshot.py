"""Module builds and components as typed objects, read from the server's JSON.

MBS 3.9.2 sends fewer keys (docs/contract/rest.md, "Representations"); missing ones are empty here. Control
characters are removed from all texts, since they come from untrusted sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mbs.client.rest import Json, UnexpectedAnswer
from mbs.nsvc import NSVC, PARTS
from mbs.reuse import brief
from mbs.states import BuildState, ComponentState
from mbs.text import natural, printable


@dataclass(frozen=True)
class Excerpt:
    """Lines of the log of a failed component.

    Attributes:
        component: Name of the package.
        log: Name of the log.
        line: Number of the line with the cause; None if it is unknown.
        first_line: Number of the first of ``lines``.
        lines: The line with the cause, and its neighbors.
        path: Path of the page that shows the line, without the server's address.
    """

    component: str
    log: str
    line: int | None
    first_line: int | None
    lines: tuple[str, ...]
    path: str


@dataclass(frozen=True)
class Component:
    """A component of a module build. ``state`` is None before it starts.

    Attributes:
        url: URL of its log, or of its page in the build system.
        weight: Expected duration in seconds; 0 if unknown.
        waiting_for: What it waits for, or empty.
    """

    id: int
    package: str
    batch: int
    state: ComponentState | None
    reason: str
    nvr: str
    url: str
    weight: float
    reused: bool
    why: str
    waiting_for: str
    started: datetime | None
    completed: datetime | None

    @property
    def finished(self) -> bool:
        """Whether it has been built, reused, canceled, or has failed."""
        return self.state is not None and self.state != ComponentState.BUILDING

    @property
    def failed(self) -> bool:
        """Whether it has failed or was canceled."""
        return self.state in (ComponentState.FAILED, ComponentState.CANCELED)

    def seconds(self, now: datetime) -> float | None:
        """Return its build duration, so far or in total; None if it has not started."""
        if self.started is None:
            return None
        return max(0.0, ((self.completed or now) - self.started).total_seconds())


@dataclass(frozen=True)
class Outlook:
    """The server's prediction for a build.

    Attributes:
        place: Place of its next component in the queue for slots; 0 if no component waits.
        of: Number of components that wait for a slot.
        ready: Expected end.
        spread: Estimated error of the end, in seconds: four of five recent builds were ready within it.
    """

    place: int
    of: int
    ready: datetime
    spread: float

    def __str__(self) -> str:
        queued = f"place {self.place} of {self.of} for a slot, " if self.place else ""
        return f"{queued}ready about {minute(self.ready)} (±{duration(self.spread)})"


@dataclass(frozen=True)
class Build:
    """A module build with its components, ordered by batch.

    Attributes:
        hint: How to fix its error, or empty.
        cause: What its failure is due to: module, infrastructure, canceled, or empty.
        excerpt: The lines of a log that explain it.
        repository_url: Of a ready build: where it can be installed from, or empty.
        install: Commands that install it.
        owner: Name of the user who submitted it.
        complete: Number of components that are built or reused.
        total: Number of its components; 0 if the server did not send them.
        outlook: Expectation of the server, if any.
    """

    id: int
    nsvc: NSVC
    tag: str
    state: BuildState
    scratch: bool
    reason: str
    hint: str
    batch: int
    waiting_for: str
    submitted: datetime | None
    completed: datetime | None
    components: tuple[Component, ...] = ()
    outlook: Outlook | None = None
    cause: str = ""
    excerpt: Excerpt | None = None
    repository_url: str = ""
    install: tuple[str, ...] = ()
    owner: str = ""
    complete: int = 0
    total: int = 0

    @property
    def word(self) -> str:
        """Return the state to show: ``canceled`` for canceled builds, otherwise the name of the state."""
        canceled = self.state == BuildState.FAILED and self.cause == "canceled"
        return "canceled" if canceled else self.state.word

    @property
    def succeeded(self) -> bool:
        """Whether it is ready or, as a scratch build, done."""
        return self.state == BuildState.READY or (self.scratch and self.state == BuildState.DONE)

    @property
    def ended(self) -> bool:
        """Whether it has reached a final state."""
        return self.succeeded or self.state in (BuildState.FAILED, BuildState.GARBAGE)

    def batches(self) -> dict[int, list[Component]]:
        """Return the components by batch number, in ascending order."""
        found: dict[int, list[Component]] = {}
        for component in self.components:
            found.setdefault(component.batch, []).append(component)
        return found

    def seconds(self, now: datetime) -> float:
        """Return its duration since submission, so far or in total."""
        if self.submitted is None:
            return 0.0
        return max(0.0, ((self.completed or now) - self.submitted).total_seconds())


def read_build(data: Json, components: list[Json] | None = None) -> Build:
    """Return a build from any of its representations.

    Args:
        components: The verbose representations of its components, if they were requested.

    Raises:
        UnexpectedAnswer: It has no id, or an unknown state.
    """
    try:
        return _read_build(data, components or [])
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise UnexpectedAnswer(
            f"The server sent a build that cannot be read: {error!r}.",
            hint="The server may be newer than this client: update the client.",
        ) from error


def _read_build(data: Json, components: list[Json]) -> Build:
    error, states = data.get("error"), _component_states(data.get("tasks"))
    return Build(
        id=int(data["id"]),
        nsvc=NSVC.of({key: clean(data.get(key)) for key in PARTS}),
        tag=clean(data.get("koji_tag")),
        state=BuildState(data["state"]),
        scratch=bool(data.get("scratch")),
        reason=clean(data.get("state_reason")),
        hint=clean(error.get("hint")) if isinstance(error, Mapping) else "",
        batch=int(data.get("batch") or 0),
        waiting_for=_waiting_for(data.get("waiting_for")),
        submitted=read_time(data.get("time_submitted")),
        completed=read_time(data.get("time_completed")),
        cause=clean(error.get("cause")) if isinstance(error, Mapping) else "",
        excerpt=_excerpt(error.get("excerpt")) if isinstance(error, Mapping) else None,
        repository_url=clean(data.get("repository_url")),
        install=tuple(clean(line) for line in data.get("install") or ()),
        owner=clean(data.get("owner")),
        complete=sum(state == ComponentState.COMPLETE for state in states),
        total=len(states),
        components=tuple(sorted(map(_read_component, components), key=_order)),
    )


def _component_states(tasks: object) -> list[object]:
    """Return the states of all components in the key ``tasks`` of a build."""
    kinds = tasks.values() if isinstance(tasks, Mapping) else ()
    entries = (task for kind in kinds if isinstance(kind, Mapping) for task in kind.values())
    return [task.get("state") if isinstance(task, Mapping) else None for task in entries]


def _order(component: Component) -> tuple[object, ...]:
    """Key of a component: by batch and, in it, by name."""
    return component.batch, natural(component.package), component.id


def _excerpt(data: object) -> Excerpt | None:
    if not isinstance(data, Mapping):
        return None
    return Excerpt(
        component=clean(data.get("component")),
        log=clean(data.get("log")),
        line=_number(data.get("line")),
        first_line=_number(data.get("first_line")),
        lines=tuple(printable(str(line).rstrip()) for line in data.get("lines") or ()),
        path=clean(data.get("url")),
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _read_component(data: Json) -> Component:
    state, reuse = data.get("state"), data.get("reuse")
    return Component(
        id=int(data["id"]),
        package=clean(data.get("package")),
        batch=int(data.get("batch") or 0),
        state=None if state is None else ComponentState(state),
        reason=clean(data.get("state_reason")),
        nvr=clean(data.get("nvr")),
        url=clean(data.get("task_url")),
        weight=float(data.get("weight") or 0.0),
        reused=isinstance(reuse, Mapping) and bool(reuse.get("reused")),
        why=_why(reuse),
        waiting_for=_waiting_for(data.get("waiting_for")),
        started=read_time(data.get("time_started")),
        completed=read_time(data.get("time_completed")),
    )


def clean(value: object) -> str:
    """Return the text without control characters, which could manipulate a terminal."""
    return "" if value is None else printable(str(value).strip())


def _waiting_for(value: object) -> str:
    if not isinstance(value, Mapping):
        return ""
    return clean(value.get("what"))


def _why(reuse: object) -> str:
    """Return why a component was built and not reused; empty if it was reused, or the server does not say."""
    if not isinstance(reuse, Mapping) or reuse.get("reused"):
        return ""
    return clean(brief(str(reuse.get("code") or ""), str(reuse.get("detail") or "")))


def read_time(value: object) -> datetime | None:
    """Parse ``YYYY-MM-DDTHH:MM:SSZ``, with or without a fraction; return None for other values."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def read_outlooks(queue: Json) -> dict[int, Outlook]:
    """Return the predictions of a server by build id, without entries that cannot be read."""
    found = {}
    for entry in queue.get("builds") or ():
        try:
            ready = read_time(entry["ready"])
            place, of = int(entry.get("place") or 0), int(entry.get("of") or 0)
            if ready:
                found[int(entry["id"])] = Outlook(place, of, ready, float(entry["spread_seconds"]))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            continue
    return found


def local_time(time: datetime) -> str:
    """Return a time in the local time zone, with the name of the zone."""
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def minute(time: datetime) -> str:
    """Return the local time to the minute with the name of the zone, and with the date if it is not today."""
    local = time.astimezone()
    day = "" if local.date() == datetime.now(local.tzinfo).date() else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M %Z}"


def short_time(time: datetime, now: datetime) -> str:
    """Return the local time of day, or the day if it is not today."""
    local = time.astimezone()
    return f"{local:%H:%M}" if local.date() == now.astimezone().date() else f"{local:%b %d}"


def duration(seconds: float) -> str:
    """``12 s``, ``3 min 4 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
