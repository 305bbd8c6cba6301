"""What the workflow asks of a build system, whatever it is.

Everything is a list, so that a build system with multicalls needs one round trip for many things.
Every method may be called again with the same arguments and then changes nothing more: workers die.
Nothing here waits for a build: a build system is submit, park, wake. Whoever learns that a build
ended wakes ``component:<id>``; ``statuses`` says what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from buildsys.delivery import Delivery
from mbs.errors import MBSError, Problem, Unavailable


class BuildSystemError(MBSError):
    """The build system refused: the build cannot go on as it is."""

    code = "build_system_refused"


class BuildSystemUnavailable(Unavailable):
    """The build system is away or overloaded: the same call may succeed later."""

    code = "build_system_unavailable"


class AnswerLost(BuildSystemUnavailable):
    """The build system may have done what it was asked for, or may do it yet: nothing was answered."""

    code = "build_system_answer_lost"


class TaskState(Enum):
    """Of one submission. ``LOST``: it will never end, and may be submitted again as the next attempt."""

    OPEN = "open"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST = "lost"


class RepoState(Enum):
    """Of a regeneration of a repository."""

    OPEN = "open"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Module:
    """A module build, as far as a build system needs to know it.

    :param tag: name of its Koji tag (docs/contract/modulemd.md, "Names and hashes"), unique among builds that
        are not garbage.
    :param buildrequires: name -> ``{ref, stream, version, context, koji_tag, ...}``, ordered.
    :param groups: build group name -> packages that are to be installed in every buildroot.
    :param modulemd: the document as it was expanded.
    :param disttag: value of ``%dist`` without the leading dot.
    :param since: when it was started or, after a failure, resumed last (seconds since the epoch): what
        failed before does not count any more.
    :param submitted: when it was submitted (seconds since the epoch).
    """

    id: int
    name: str
    stream: str
    version: str
    context: str
    tag: str
    owner: str
    scratch: bool
    arches: tuple[str, ...]
    modulemd: str
    disttag: str
    buildrequires: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    since: float = 0.0
    submitted: float = 0.0

    @property
    def nsvc(self) -> str:
        return f"{self.name}:{self.stream}:{self.version}:{self.context}"


@dataclass(frozen=True)
class Job:
    """One component to be built.

    :param component_id: number of the component build; its end wakes ``component:<component_id>``.
    :param attempt: counts from 1; raised when an earlier attempt was lost or is built anew.
    :param source: scm url of the dist-git repository, ``url#<full commit>``; empty when ``spec`` is given.
    :param spec: text of a spec file that needs no sources (module-build-macros).
    :param after: NVRs that are in the buildroot when this one starts.
    :param weight: expected seconds.
    :param again: an earlier submission may have arrived although its answer did not.
    """

    component_id: int
    attempt: int
    module: Module
    package: str
    source: str = ""
    spec: str = ""
    weight: float = 0.0
    arches: tuple[str, ...] = ()
    again: bool = True

    @property
    def wake_key(self) -> str:
        return f"component:{self.component_id}"


@dataclass(frozen=True)
class Submission:
    """The answer to a job: the build system's number for it, and where a person can look at it.

    :param status: what became of it, where the build system knows that at once (it was built before).
    """

    task_id: int
    url: str = ""
    status: TaskStatus | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TaskStatus:
    """What became of a submission.

    :param nvr: ``name-version-release``, known at the latest when it is complete.
    :param reason: why it failed or was lost, for people.
    :param infrastructure: it failed, and plainly not for its sources: another attempt may succeed.
    :param started: seconds since the epoch, or None when it still waits for a place.
    """

    task_id: int
    state: TaskState
    nvr: str = ""
    reason: str = ""
    url: str = ""
    infrastructure: bool = False
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class RepoStatus:
    """What became of a repository request.

    :param missing: NVRs that were asked for and are not in it (then it must be asked for again).
    """

    state: RepoState
    reason: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tagged:
    """Which of the NVRs asked for are in the module's two tags."""

    buildroot: frozenset[str]
    final: frozenset[str]


@dataclass(frozen=True)
class TaggedRpm:
    """A binary RPM that a tag brings into a buildroot.

    :param build: NVR of the build that it comes from; empty when the build system has none.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    build: str = ""

    @property
    def nevr(self) -> str:
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}"


@dataclass(frozen=True)
class Shipping:
    """Whether consumers find a finished module.

    :param missing: what is not in the tag that consumers look into, by the name that the message about its
        tagging bears; empty: all is there, or was.
    :param trouble: why the last try to tag it failed, for people.
    """

    missing: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Result:
    """What a finished module left behind.

    :param topdir: folder or url where its trees lie.
    :param modulemds: arch -> final modulemd document (artifacts, licenses), and ``src``.
    :param content_tag: the tag in which consumers find the module; empty: none.
    :param shipping: whether consumers find it there by now.
    :param delivery: empty where the build system makes no repositories for users.
    """

    topdir: str
    modulemds: Mapping[str, str] = field(default_factory=dict)
    content_tag: str = ""
    shipping: Shipping = field(default_factory=Shipping, compare=False)
    delivery: Delivery = field(default_factory=Delivery, compare=False)


@dataclass(frozen=True)
class Capabilities:
    """What differs between build systems and matters to the workflow.

    :param shares_builds: a build made for one module may be tagged into another (reuse).
    :param first_repo: a build needs a repository that was asked for before it, the first one too; a build
        system that finds none may wait longer than the repository takes.
    :param simulated: nothing is really built; pages and clients say so.
    :param needs_dist: RPMs whose release lacks the module's dist tag are refused.
    """

    shares_builds: bool = False
    first_repo: bool = False
    simulated: bool = False
    needs_dist: bool = False


class BuildSystem(Protocol):
    """See the module's docstring for what holds for every method.

    :raises BuildSystemUnavailable: from any method, when the build system is away.
    :raises BuildSystemError: from any method, when it refuses.
    """

    name: str
    capabilities: Capabilities

    def arches(self, module: Module) -> tuple[str, ...]:
        """The architectures it would build this module for, before ``buildopts.arches`` limits them."""

    def expected_seconds(self, packages: Sequence[str]) -> dict[str, float]:
        """How long builds of packages are likely to take, as far as it knows their history."""

    def prepare(self, module: Module, packages: Sequence[str]) -> None:
        """Make the two tags (``module.tag`` and ``...-build``) and the target, or their like."""

    def find(self, jobs: Sequence[Job]) -> list[Submission | None]:
        """For each job the open or complete submission of this very component that exists already.

        What it was submitted as (attempt) is not asked: whatever is alive or done is adopted.
        """

    def submit(self, jobs: Sequence[Job]) -> list[Submission]:
        """Start builds. What ``find`` finds is answered instead; the same jobs twice are built once.

        :raises AnswerLost: it may start them yet.
        """

    def statuses(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """What became of submissions. One that it does not know is LOST."""

    def cancel(self, task_ids: Sequence[int]) -> None:
        """Stop what is open; silent about what is not."""

    def recover(self, task_ids: Sequence[int]) -> None:
        """For open submissions: send again whatever a broker may have lost. Called by a sweep."""

    def tag(
        self,
        module: Module,
        nvrs: Sequence[str],
        *,
        final: bool = True,
        task_ids: Mapping[str, int] | None = None,
    ) -> Tagged:
        """Ask that builds be put into the buildroot tag and, with ``final``, into the module's tag.

        Builds of earlier modules may be named where ``capabilities.shares_builds``. Answers which of them
        are known to be there; where tagging takes time, a later call tells more.

        :param task_ids: NVR -> number of the submission that built it. An NVR does not identify a build where
            several modules may build it; without a number only builds of this very module are meant.
        """

    def tagged(self, module: Module, nvrs: Sequence[str]) -> Tagged:
        """Which of these builds are in the tags by now."""

    def deleted(self, builds: Mapping[int, str]) -> set[int]:
        """Return the submissions whose results are not there any more, so that no module can reuse them.

        :param builds: number of a submission -> the NVR that it built.
        """

    def tagged_of(self, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
        """The same for many modules, in as few round trips as there can be."""

    def request_repo(self, module: Module) -> int:
        """Ask for a repository of all that is in the buildroot tag now; answers the request's number."""

    def repo_status(self, module: Module, request: int, nvrs: Sequence[str]) -> RepoStatus:
        """What became of the request. READY only when the repository holds all of ``nvrs``."""

    def repos_under_way(self, requests: Sequence[int]) -> set[int]:
        """Requests of which nothing new is known but that they are OPEN: ``repo_status`` need not be asked.

        An empty answer is always right.
        """

    def finalize(self, module: Module, nvrs: Mapping[str, str]) -> Result:
        """Record the finished module. ``nvrs``: package -> NVR of all components, without the macros."""

    def ship(self, module: Module, content_tag: str) -> Shipping:
        """Look whether consumers find a module that ``finalize`` recorded; ask for what is missing again.

        What has been in the tag once is never put there again: it is the operators' from then on.
        """

    def abandon(self, module: Module) -> None:
        """The module failed or was cancelled: stop what was prepared for it. What was built stays."""

    def examine(self, tags: Sequence[str], bare: Sequence[str] = ()) -> list[Problem]:
        """What it lacks before it can build, for operators; empty when all is well.

        :param tags: of base modules, which it must know.
        :param bare: those of them whose modules say nothing about what is installed in buildroots.
        """

    def prepared(self) -> list[str]:
        """The tags of modules for which something is kept that only building needs (``retire``)."""

    def retire(self, tags: Sequence[str]) -> None:
        """Remove what only building needs; a module that is built again is prepared again."""

    def discard(self, module: Module) -> None:
        """The module failed long ago and will not be built again: let go of what was built for it."""


@runtime_checkable
class RunsBuilds(Protocol):
    """A build system whose builds are run by this service's own workers on the queue ``builds``."""

    def run(self, task_id: int) -> str | None:
        """Run one submission (or regeneration) to its end; answers the key to wake, or None.

        Returns at once when the submission has ended; None when it is unknown, is running elsewhere, or is
        of an older attempt.
        """


@runtime_checkable
class FindsRpms(Protocol):
    """A build system that knows of any RPM which modules hold it."""

    def tags_holding(self, rpm: str) -> list[str]:
        """The tags (``Module.tag``) of modules that hold the build which an RPM comes from.

        :param rpm: ``name-version-release.arch``; that of a source package may lack the ``.arch``.
        :return: nothing for an RPM that it does not know, or that no module holds.
        """


@runtime_checkable
class DescribesModules(Protocol):
    """A build system that can say what a module holds which another service finished."""

    def documents(self, module: Module, nvrs: Sequence[str]) -> dict[str, str]:
        """Return the final documents of a finished module by architecture; nothing is changed.

        :param nvrs: of all its components.
        """


@runtime_checkable
class KnowsBuilds(Protocol):
    """A build system in which a build may have ended while its task is still open."""

    def confirm(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """As ``statuses``, for submissions that are said to have ended: their builds count, not their tasks.

        One round trip for all of them, and one more for the reasons of those that failed.
        """


@runtime_checkable
class ListsRpms(Protocol):
    """A build system that knows which RPMs the tags of modules bring into a buildroot."""

    def rpms_in(
        self, tags: Sequence[str], arches: Sequence[str], packages: Sequence[str] = ()
    ) -> dict[str, set[TaggedRpm]]:
        """Return, for each tag, the binary RPMs that it and its parents bring along.

        :param arches: of the module that they are for; RPMs of others may be among them.
        :param packages: all builds of these source packages, instead of the latest builds of all.
        """


#: ``send(task_id, delay)`` puts a submission on the queue ``builds`` after ``delay`` seconds.
Send = Callable[[int, float], None]
