"""The interface between the workflow and build systems.

Methods take lists, so that a build system with multicalls needs one round trip. They are idempotent, because
workers can die at any time. No method waits for a build: when a build ends, ``component:<id>`` is woken, and
``statuses`` returns the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from buildsys.delivery import Delivery
from mbs import wait_keys
from mbs.errors import MBSError, Problem, Unavailable
from mbs.nsvc import NSVC


class BuildSystemError(MBSError):
    """The build system refused the call, so the build cannot continue."""

    code = "build_system_refused"


class BuildSystemUnavailable(Unavailable):
    """The build system is not reachable or overloaded; the same call may succeed later."""

    code = "build_system_unavailable"


class AnswerLost(BuildSystemUnavailable):
    """The call got no answer, so the build system may carry it out, or have done so."""

    code = "build_system_answer_lost"


class TaskState(Enum):
    """State of a submission. A LOST one never ends and may be submitted again as the next attempt."""

    OPEN = "open"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST = "lost"


class RepoState(Enum):
    """State of a repository regeneration."""

    OPEN = "open"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Module:
    """The properties of a module build that a build system needs.

    Attributes:
        tag: Name of its Koji tag (docs/contract/modulemd.md, "Names and hashes"), unique among builds that
            are not garbage.
        buildrequires: Name -> ``{ref, stream, version, context, koji_tag, ...}``, ordered.
        groups: Build group -> packages to install in every buildroot.
        modulemd: The expanded document.
        disttag: Value of ``%dist`` without the leading dot.
        since: Time of the start or the last resumption (seconds since the epoch); earlier failures are
            ignored.
        submitted: Time of submission (seconds since the epoch).
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
    def nsvc(self) -> NSVC:
        """Name, stream, version and context."""
        return NSVC(self.name, self.stream, self.version, self.context)


@dataclass(frozen=True)
class Job:
    """A component to build.

    Attributes:
        component_id: Id of the component build.
        attempt: Number of the attempt, from 1. It increases if an attempt was lost or is repeated.
        source: Scm url of the dist-git repository, ``url#<full commit>``; empty if ``spec`` is given.
        spec: Text of a spec file that needs no sources (module-build-macros).
        weight: Expected build time in seconds.
        maybe_submitted: Whether an earlier submission may have arrived without an answer.
    """

    component_id: int
    attempt: int
    module: Module
    package: str
    source: str = ""
    spec: str = ""
    weight: float = 0.0
    arches: tuple[str, ...] = ()
    maybe_submitted: bool = True

    @property
    def wake_key(self) -> str:
        """The key to wake when the build ends."""
        return wait_keys.component(self.component_id)


@dataclass(frozen=True)
class Submission:
    """The submission of a job.

    Attributes:
        task_id: Its number in the build system.
        url: Address of its page.
        status: Its status if the build system knows it at once, because the job was built before.
    """

    task_id: int
    url: str = ""
    status: TaskStatus | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TaskStatus:
    """The status of a submission.

    Attributes:
        nvr: ``name-version-release``; known at least if the build is complete.
        reason: Why it failed or was lost.
        infrastructure: Whether it clearly failed for another reason than its sources, so that another
            attempt may succeed.
        started: Seconds since the epoch; None before it started.
        ended: Seconds since the epoch; None before it ended.
        ending: Whether an open submission has failed already, and its reason follows within seconds.
    """

    task_id: int
    state: TaskState
    nvr: str = ""
    reason: str = ""
    url: str = ""
    infrastructure: bool = False
    started: float | None = None
    ended: float | None = None
    ending: bool = False


@dataclass(frozen=True)
class RepoStatus:
    """The status of a repository request.

    Attributes:
        missing: Requested NVRs that the repository lacks; it has to be requested again.
    """

    state: RepoState
    reason: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tagged:
    """The NVRs that are in the buildroot tag and in the module's tag, out of those requested."""

    buildroot: frozenset[str]
    final: frozenset[str]


@dataclass(frozen=True)
class TaggedRpm:
    """A binary RPM that a tag provides for buildroots.

    Attributes:
        build: NVR of its build; empty if the build system has none.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    build: str = ""

    @property
    def nevr(self) -> str:
        """Name-epoch:version-release."""
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}"


@dataclass(frozen=True)
class Shipping:
    """Whether a finished module is in the tag that consumers read.

    Attributes:
        missing: NVRs that are not there and have not been; the names are those in the messages about
            tagging.
        trouble: Why the last attempt to tag failed.
    """

    missing: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Result:
    """The result of a finished module.

    Attributes:
        topdir: Folder or url of its repositories.
        modulemds: Architecture or ``src`` -> final document with artifacts and licenses.
        content_tag: The tag that consumers read; empty if there is none.
        shipping: Whether the module is in that tag.
        delivery: How users get the module; empty if the build system makes no repositories for users.
        sizes: Key of ``modulemds`` -> NEVRA of an RPM in it -> size in bytes; empty if they are not known.
    """

    topdir: str
    modulemds: Mapping[str, str] = field(default_factory=dict)
    content_tag: str = ""
    shipping: Shipping = field(default_factory=Shipping, compare=False)
    delivery: Delivery = field(default_factory=Delivery, compare=False)
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Capabilities:
    """Differences between build systems that the workflow depends on.

    Attributes:
        shares_builds: A build can be tagged into several modules (reuse).
        first_repo: The first repository must be requested before the first build. Otherwise the build system
            may wait for a repository longer than a regeneration takes.
        simulated: Nothing is actually built; pages and clients show this.
        needs_dist: RPMs whose release lacks the module's dist tag are refused.
        knows_arches: ``arches`` returns at once, without a request to another server.
    """

    shares_builds: bool = False
    first_repo: bool = False
    simulated: bool = False
    needs_dist: bool = False
    knows_arches: bool = False


class BuildSystem(Protocol):
    """A build system. See the module's docstring for the rules of all methods.

    Raises:
        BuildSystemUnavailable: From any method: the build system is not reachable.
        BuildSystemError: From any method: the build system refuses.
    """

    name: str
    capabilities: Capabilities

    def arches(self, module: Module) -> tuple[str, ...]:
        """Return the architectures to build a module for, before ``buildopts.arches`` restricts them."""

    def expected_seconds(self, packages: Sequence[str]) -> dict[str, float]:
        """Return the expected build times of packages whose history is known."""

    def prepare(self, module: Module, packages: Sequence[str]) -> None:
        """Make the module's two tags (``module.tag`` and ``...-build``) and the target, or equivalents."""

    def find(self, jobs: Sequence[Job]) -> list[Submission | None]:
        """Return for each job the open or complete submission of the same component, if there is one.

        The attempt of the submission does not matter.
        """

    def submit(self, jobs: Sequence[Job]) -> list[Submission]:
        """Start builds, or return the submissions that ``find`` finds. A repeated call starts nothing.

        Raises:
            AnswerLost: The builds may still be started.
        """

    def statuses(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """Return the statuses of submissions; an unknown one is LOST."""

    def cancel(self, task_ids: Sequence[int]) -> None:
        """Stop open submissions and ignore others."""

    def recover(self, task_ids: Sequence[int]) -> None:
        """Send open submissions again that a broker may have lost. A sweep calls this."""

    def tag(
        self,
        module: Module,
        nvrs: Sequence[str],
        *,
        final: bool = True,
        task_ids: Mapping[str, int] | None = None,
    ) -> Tagged:
        """Ask to tag builds into the buildroot tag and, if ``final``, into the module's tag.

        Builds of earlier modules are allowed if ``capabilities.shares_builds``. Return those that are known
        to be tagged; if tagging takes time, a later call returns more.

        Args:
            task_ids: NVR -> number of the submission that built it, for build systems in which several
                modules can build the same NVR. Without a number only builds of this module match.
        """

    def tagged(self, module: Module, nvrs: Sequence[str]) -> Tagged:
        """Return which of these builds are tagged by now."""

    def deleted(self, builds: Mapping[int, str]) -> set[int]:
        """Return the submissions whose results were deleted, so that no module can reuse them.

        Args:
            builds: Number of a submission -> the NVR that it built.
        """

    def tagged_of(self, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
        """Return ``tagged`` for several modules, in as few round trips as possible."""

    def request_repo(self, module: Module) -> int:
        """Request a repository of the builds that are in the buildroot tag now; return the request's id."""

    def repo_status(self, module: Module, request: int, nvrs: Sequence[str]) -> RepoStatus:
        """Return the status of a request. It is READY only if the repository contains all of ``nvrs``."""

    def repos_under_way(self, requests: Sequence[int]) -> set[int]:
        """Return requests that are certainly OPEN, so that ``repo_status`` is unnecessary.

        An empty result is always allowed.
        """

    def finalize(self, module: Module, nvrs: Mapping[str, str]) -> Result:
        """Record the finished module.

        Args:
            nvrs: Package -> NVR of all components except module-build-macros.
        """

    def ship(self, module: Module, content_tag: str) -> Shipping:
        """Check whether a finished module is in the tag that consumers read; ask again for missing builds.

        A build that has been in the tag is never tagged again, because operators may have moved it.
        """

    def abandon(self, module: Module) -> None:
        """Stop running builds of a failed or cancelled module. Finished builds are kept."""

    def examine(self, tags: Sequence[str], bare: Sequence[str] = ()) -> list[Problem]:
        """Return the problems that operators must correct before the system can build.

        Args:
            tags: Tags of base modules, which must exist.
            bare: Those of them whose modules do not define the packages of buildroots.
        """

    def prepared(self) -> list[str]:
        """Return the tags of modules for which ``retire`` still has something to remove."""

    def retire(self, tags: Sequence[str]) -> None:
        """Remove objects that only builds need, such as targets; ``prepare`` creates them again."""

    def discard(self, module: Module) -> None:
        """Release the builds of a module that failed long ago and will not be resumed."""


@runtime_checkable
class RunsBuilds(Protocol):
    """A build system whose builds run on this service's workers, on the queue ``builds``."""

    def run(self, task_id: int) -> str | None:
        """Run a submission or regeneration and return the key to wake.

        Return at once if the submission has ended, and None if it is unknown, runs elsewhere or belongs to
        an older attempt.
        """


@runtime_checkable
class FindsRpms(Protocol):
    """A build system that can find the modules of an RPM."""

    def tags_holding(self, rpm: str) -> list[str]:
        """Return the tags (``Module.tag``) of modules that contain the build of an RPM.

        Args:
            rpm: ``name-version-release.arch``; the ``.arch`` of a source package may be missing.

        Returns:
            An empty list if the RPM is unknown or in no module.
        """


@runtime_checkable
class KnowsBuilds(Protocol):
    """A build system in which a build may end before its task."""

    def confirm(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """Return the statuses of submissions that reportedly ended, by their builds instead of their tasks.

        This takes one round trip, and another for the reasons of failures.
        """


@runtime_checkable
class ListsRpms(Protocol):
    """A build system that knows which RPMs the tags of modules provide for buildroots."""

    def rpms_in(
        self, tags: Sequence[str], arches: Sequence[str], packages: Sequence[str] = ()
    ) -> dict[str, set[TaggedRpm]]:
        """Return for each tag the binary RPMs that it and its parents provide.

        Args:
            arches: Architectures of the module that needs the RPMs; RPMs of others may be included.
            packages: If given, include all builds of these source packages only, instead of the latest of
                all.
        """


#: ``send(task_id, delay)`` puts a submission on the queue ``builds`` after ``delay`` seconds.
Send = Callable[[int, float], None]
