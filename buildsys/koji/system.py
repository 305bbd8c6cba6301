"""The Koji build system: puts the parts of this package behind the Protocol."""

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
from buildsys.koji.macros import make_srpm
from buildsys.koji.metadata import import_nvr
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Hub
from mbs.errors import Problem


class KojiBuildSystem:
    """See ``BuildSystem``, ``FindsRpms``, ``DescribesModules``, ``KnowsBuilds`` and ``ListsRpms``.

    They are in ``buildsys.base``, ``ExplainsFailures`` in ``buildsys.excerpts``.

    Makes no call before it is used.
    """

    name = "koji"

    def __init__(self, options: KojiOptions) -> None:
        self.options = options
        # A macros package with a target of its own needs the repository of that.
        self.capabilities = Capabilities(shares_builds=True, first_repo=not options.macros_target)
        self.hub = Hub(options.access)
        # The web front has no credentials of Koji.
        self._public_hub = self.hub.read_only()
        self._builds = Builds(
            self.hub,
            weburl=self.hub.profile["weburl"],
            priority=options.priority,
            limits_arches=options.limits_arches,
        )

    def arches(self, module: Module) -> tuple[str, ...]:
        tag = self._of_base(module, "koji_tag")
        return tags.base_arches(self.hub, tag) if tag else ()

    def _of_base(self, module: Module, key: str) -> str:
        """What is known of the base module that a module is built on."""
        names = [name for name in self.options.base_modules if name in module.buildrequires]
        return str(module.buildrequires[names[0]].get(key) or "") if names else ""

    def expected_seconds(self, packages: Sequence[str]) -> dict[str, float]:
        return weights.expected_seconds(self.hub, packages, self.options.disttag_prefixes)

    def prepare(self, module: Module, packages: Sequence[str]) -> None:
        tags.prepare(self.hub, module, packages, self.options.tags)

    # -- builds ------------------------------------------------------------------------------------------

    def find(self, jobs: Sequence[Job]) -> list[Submission | None]:
        return self._builds.find(jobs)

    def submit(self, jobs: Sequence[Job]) -> list[Submission]:
        search = iter(self.find([job for job in jobs if job.again]))
        found = [next(search) if job.again else None for job in jobs]
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
        return self._builds.statuses(task_ids)

    def explain(self, task_ids: Sequence[int]) -> dict[int, Excerpt]:
        return excerpts.explain(self.hub, task_ids)

    def confirm(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        return self._builds.confirm(task_ids)

    def cancel(self, task_ids: Sequence[int]) -> None:
        self._builds.cancel(task_ids)

    def recover(self, task_ids: Sequence[int]) -> None:
        """Nothing to send again: the hub keeps its own queue."""

    # -- tags and repositories ---------------------------------------------------------------------------

    def tag(
        self,
        module: Module,
        nvrs: Sequence[str],
        *,
        final: bool = True,
        task_ids: Mapping[str, int] | None = None,
    ) -> Tagged:
        return tagging.tag(self.hub, module, nvrs, final=final)

    def tagged(self, module: Module, nvrs: Sequence[str]) -> Tagged:
        return tagging.tagged(self.hub, module, nvrs)

    def tagged_of(self, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
        return tagging.tagged_of(self.hub, wanted)

    def tags_holding(self, rpm: str) -> list[str]:
        return tagging.holding(self._public_hub, rpm, self.options.tag_prefixes)

    def documents(self, module: Module, nvrs: Sequence[str]) -> dict[str, str]:
        return importing.documents(self._public_hub, module, nvrs)

    def deleted(self, builds: Mapping[int, str]) -> set[int]:
        gone = tagging.deleted(self.hub, sorted({*builds.values()}))
        return {number for number, nvr in builds.items() if nvr in gone}

    def rpms_in(
        self, module_tags: Sequence[str], arches: Sequence[str], packages: Sequence[str] = ()
    ) -> dict[str, set[TaggedRpm]]:
        if packages:
            return contents.versions_in(self.hub, module_tags, packages)
        return contents.rpms_in(self.hub, module_tags, arches, self.options.access.timeout)

    def request_repo(self, module: Module) -> int:
        return repos.request(self.hub, module)

    def repo_status(self, module: Module, request: int, nvrs: Sequence[str]) -> RepoStatus:
        return repos.status(self.hub, module, request, nvrs)

    def repos_under_way(self, requests: Sequence[int]) -> set[int]:
        return repos.under_way(self.hub, requests)

    # -- the end -----------------------------------------------------------------------------------------

    def finalize(self, module: Module, nvrs: Mapping[str, str]) -> Result:
        base_stream = self._of_base(module, "stream")
        done = importing.finish(self.hub, module, nvrs, self.options.imports, base_stream)
        return Result(self._topdir(module), done.documents, done.tag, done.shipping)

    def _topdir(self, module: Module) -> str:
        """Where the imported module lies, else the repository that it was built with."""
        repositories = self.options.repository_url.rstrip("/")
        if module.scratch or not self.options.imports.enabled:
            return f"{repositories}/{quote(tags.build_tag(module))}/latest"
        topurl = self.hub.profile.get("topurl") or repositories.removesuffix("/repos")
        folder = importing.folder(import_nvr(module))
        return f"{topurl.rstrip('/')}/packages/{quote(folder)}/files/module"

    def ship(self, module: Module, content_tag: str) -> Shipping:
        return importing.ship(self.hub, module, content_tag, self.options.imports)

    def abandon(self, module: Module) -> None:
        self._builds.cancel_all(module)

    def examine(self, module_tags: Sequence[str], bare: Sequence[str] = ()) -> list[Problem]:
        return doctor.examine(self.hub, self.options, module_tags, bare)

    def prepared(self) -> list[str]:
        return list(tags.ended_targets(self.hub, self.options.tag_prefixes))

    def retire(self, module_tags: Iterable[str]) -> None:
        wanted = set(module_tags)
        targets = tags.ended_targets(self.hub, self.options.tag_prefixes)
        tags.delete_targets(
            self.hub, [name for tag, names in targets.items() if tag in wanted for name in names]
        )

    def discard(self, module: Module) -> None:
        tagging.untag_all(self.hub, module)
