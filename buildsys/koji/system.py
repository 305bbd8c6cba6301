"""The Koji build system, which implements the protocols by the other modules of this package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from buildsys.base import (
    Capabilities,
    Job,
    Module,
    RepoStatus,
    Result,
    Shipping,
    Submission,
    Tagged,
    TaggedRpm,
    TaskStatus,
)
from buildsys.excerpts import Excerpt
from buildsys.koji import archtags, contents, doctor, excerpts, importing, repos, tagging, tags, weights
from buildsys.koji.builds import Builds
from buildsys.koji.logs import Logs
from buildsys.koji.macros import make_srpm
from buildsys.koji.metadata import import_nvr
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Hub
from buildsys.logs import LogFile, LogPart
from buildsys.recorded import FinalDocuments
from mbs.errors import Problem

#: Seconds for a call that a person waits for.
_PATIENCE = 20


class KojiBuildSystem:
    """A Koji hub as a build system; calls are only made when methods are used.

    It implements ``BuildSystem``, ``FindsRpms``, ``DescribesModules``, ``KnowsBuilds`` and ``ListsRpms`` of
    ``buildsys.base``, ``ExplainsFailures`` of ``buildsys.excerpts`` and ``ReadsLogs`` of ``buildsys.logs``.
    """

    name = "koji"

    def __init__(self, options: KojiOptions) -> None:
        self.options = options
        # A macros package with a target of its own uses that target's repository.
        self.capabilities = Capabilities(shares_builds=True, first_repo=not options.macros_target)
        self.hub = Hub(options.access)
        # The web server has no Koji credentials.
        self._public_hub = self.hub.read_only()
        self._builds = Builds(
            self.hub,
            weburl=self.hub.profile["weburl"],
            priority=options.priority,
            limits_arches=options.limits_arches,
        )
        self._quick_hub = self.hub.read_only(_PATIENCE)
        self._logs = Logs(self._quick_hub, self._topurl(), min(_PATIENCE, options.access.timeout))

    def arches(self, module: Module) -> tuple[str, ...]:
        """Return the architectures of the base module's tag."""
        tag = self._of_base(module, "koji_tag")
        return tags.base_arches(self.hub, tag) if tag else ()

    def _of_base(self, module: Module, key: str) -> str:
        """Return a value from the entry of the base module in ``buildrequires``."""
        names = [name for name in self.options.base_modules if name in module.buildrequires]
        return str(module.buildrequires[names[0]].get(key) or "") if names else ""

    def expected_seconds(self, packages: Sequence[str]) -> dict[str, float]:
        """Return the expected build times from the hub's history."""
        return weights.expected_seconds(self.hub, packages, self.options.disttag_prefixes)

    def prepare(self, module: Module, packages: Sequence[str]) -> None:
        """Make tags and target; see ``tags.prepare``."""
        tags.prepare(self.hub, module, packages, self.options.tags)

    # -- builds ------------------------------------------------------------------------------------------

    def find(self, jobs: Sequence[Job]) -> list[Submission | None]:
        """Return existing submissions; see ``Builds.find``."""
        return self._builds.find(jobs)

    def submit(self, jobs: Sequence[Job]) -> list[Submission]:
        """Submit the jobs that have no submission yet."""
        search = iter(self.find([job for job in jobs if job.maybe_submitted]))
        found = [next(search) if job.maybe_submitted else None for job in jobs]
        new = [job for job, known in zip(jobs, found, strict=True) if known is None]
        sources = {job.component_id: self._upload(job) for job in new if job.spec}
        if self.options.limits_arches:
            archtags.prepare(self.hub, new, self.options.tags)
        started = iter(self._builds.submit(new, sources, self.options.macros_target) if new else ())
        return [known or next(started) for known in found]

    def _upload(self, job: Job) -> str:
        name, content = make_srpm(job.package, job.spec)
        return f"{self.hub.upload({name: content})}/{name}"

    def statuses(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """Return the statuses of tasks."""
        return self._builds.statuses(task_ids)

    def explain(self, task_ids: Sequence[int]) -> dict[int, Excerpt]:
        """Return the lines of the logs of failed tasks that explain the failures."""
        return excerpts.explain(self.hub, task_ids)

    def confirm(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """Return the statuses of builds."""
        return self._builds.confirm(task_ids)

    def cancel(self, task_ids: Sequence[int]) -> None:
        """Cancel open tasks."""
        self._builds.cancel(task_ids)

    def recover(self, task_ids: Sequence[int]) -> None:
        """Do nothing, since the hub has its own queue."""

    def logs(self, task_id: int) -> Sequence[LogFile]:
        """See ``buildsys.logs.ReadsLogs``."""
        return self._logs.files(task_id)

    def read_log(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        """See ``buildsys.logs.ReadsLogs``."""
        return self._logs.read(task_id, name, start, stop)

    # -- tags and repositories ---------------------------------------------------------------------------

    def tag(
        self,
        module: Module,
        nvrs: Sequence[str],
        *,
        final: bool = True,
        task_ids: Mapping[str, int] | None = None,
    ) -> Tagged:
        """Ask to tag builds; see ``tagging.tag``."""
        return tagging.tag(self.hub, module, nvrs, final=final)

    def tagged(self, module: Module, nvrs: Sequence[str]) -> Tagged:
        """Return the tagged builds."""
        return tagging.tagged(self.hub, module, nvrs)

    def tagged_of(self, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
        """Return the tagged builds of each module."""
        return tagging.tagged_of(self.hub, wanted)

    def tags_holding(self, rpm: str) -> list[str]:
        """Return the tags of modules that contain an RPM or build."""
        return tagging.holding(self._quick_hub, rpm, self.options.tag_prefixes)

    def documents(self, module: Module, nvrs: Sequence[str]) -> FinalDocuments:
        """Return the final documents of a finished module."""
        return importing.documents(self._public_hub, module, nvrs)

    def deleted(self, builds: Mapping[int, str]) -> set[int]:
        """Return the submissions whose builds were deleted."""
        gone = tagging.deleted(self.hub, sorted({*builds.values()}))
        return {number for number, nvr in builds.items() if nvr in gone}

    def rpms_in(
        self, module_tags: Sequence[str], arches: Sequence[str], packages: Sequence[str] = ()
    ) -> dict[str, set[TaggedRpm]]:
        """Return the RPMs that tags provide for buildroots."""
        if packages:
            return contents.versions_in(self.hub, module_tags, packages)
        return contents.rpms_in(self.hub, module_tags, arches, self.options.access.timeout)

    def request_repo(self, module: Module) -> int:
        """Request a repository."""
        return repos.request(self.hub, module)

    def repo_status(self, module: Module, request: int, nvrs: Sequence[str]) -> RepoStatus:
        """Return the status of a repository request."""
        return repos.status(self.hub, module, request, nvrs)

    def repos_under_way(self, requests: Sequence[int]) -> set[int]:
        """Return the requests that are open."""
        return repos.under_way(self.hub, requests)

    # -- the end -----------------------------------------------------------------------------------------

    def finalize(self, module: Module, nvrs: Mapping[str, str]) -> Result:
        """Import the module and request its tag."""
        base_stream = self._of_base(module, "stream")
        done = importing.finish(self.hub, module, nvrs, self.options.imports, base_stream)
        found = done.documents
        return Result(self._topdir(module), found.texts, done.tag, done.shipping, sizes=found.sizes)

    def _topdir(self, module: Module) -> str:
        """Return the address of the imported module, or of its repository if it is not imported."""
        if module.scratch or not self.options.imports.enabled:
            repositories = self.options.repository_url.rstrip("/")
            return f"{repositories}/{quote(tags.build_tag(module))}/latest"
        folder = importing.folder(import_nvr(module))
        return f"{self._topurl()}/packages/{quote(folder)}/files/module"

    def _topurl(self) -> str:
        """Return the address of the hub's files; empty where the configuration does not say."""
        repositories = self.options.repository_url.rstrip("/")
        return (self.hub.profile.get("topurl") or repositories.removesuffix("/repos")).rstrip("/")

    def ship(self, module: Module, content_tag: str) -> Shipping:
        """Check whether the imports are tagged."""
        return importing.ship(self.hub, module, content_tag, self.options.imports)

    def abandon(self, module: Module) -> None:
        """Cancel all builds for the module's target."""
        self._builds.cancel_all(module)

    def examine(self, module_tags: Sequence[str], bare: Sequence[str] = ()) -> list[Problem]:
        """Check the hub; see ``doctor.examine``."""
        return doctor.examine(self.hub, self.options, module_tags, bare)

    def ping(self) -> None:
        """Make a cheap call with the login of this service."""
        self.hub.call("getAPIVersion")

    def prepared(self) -> list[str]:
        """Return the tags of modules that still have build targets."""
        return list(tags.ended_targets(self.hub, self.options.tag_prefixes))

    def retire(self, module_tags: Iterable[str]) -> None:
        """Delete the build targets of modules."""
        wanted = set(module_tags)
        targets = tags.ended_targets(self.hub, self.options.tag_prefixes)
        tags.delete_targets(
            self.hub, [name for tag, names in targets.items() if tag in wanted for name in names]
        )

    def discard(self, module: Module) -> None:
        """Untag all builds, so that Koji may delete them."""
        tagging.untag_all(self.hub, module)
