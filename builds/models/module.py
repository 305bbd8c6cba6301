"""Module builds, their requirements and their history."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from django.db import models
from django.db.models.functions import Length
from django.utils import timezone

from mbs.nsvc import NSVC
from mbs.states import BUILD_STATES, BuildState


class Arch(models.Model):
    """An architecture that modules are built for."""

    name = models.CharField(max_length=64, unique=True)

    class Meta:
        verbose_name = "architecture"

    def __str__(self) -> str:
        return self.name


class VirtualStream(models.Model):
    """A stream that a base module provides besides its own."""

    name = models.CharField(max_length=255, unique=True)

    def __str__(self) -> str:
        return self.name


class Phase(models.TextChoices):
    """Phase of the current batch of a module build. Its label is the event that the batch waits for.

    It changes only by updates that also check the old phase, the run and the batch.
    """

    STARTING = "starting", "submission of its components"
    BUILDING = "building", "end of the builds of its components"
    TAGGING = "tagging", "tagging of the finished components"
    REGENERATING = "regenerating", "regeneration of the repository"
    DONE = "done", "start of the next batch"
    FINALIZING = "finalizing", "recording of the finished module in the build system"


#: Phase -> the phases that a step may set next. The repository is regenerated again if it lacks a package.
#: Besides, a new run submits a batch again that was building (``builds.workflow.advance``).
PHASE_TRANSITIONS: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.DONE: frozenset({Phase.STARTING, Phase.FINALIZING}),
        Phase.STARTING: frozenset({Phase.BUILDING, Phase.TAGGING}),
        Phase.BUILDING: frozenset({Phase.TAGGING}),
        Phase.TAGGING: frozenset({Phase.REGENERATING, Phase.FINALIZING}),
        Phase.REGENERATING: frozenset({Phase.REGENERATING, Phase.DONE}),
        Phase.FINALIZING: frozenset(),
    }
)


class ModuleBuild(models.Model):
    """One build of a module: a name, stream, version and context.

    The state machine is ``mbs.states``; ``builds.services.transitions`` is the only code that writes
    ``state``. ``run``, ``batch``, ``phase`` and ``progress_at`` are written by the workflow.
    """

    name = models.CharField(max_length=255)
    stream = models.CharField(max_length=255)
    #: An unsigned 64-bit number in decimal digits, which database integers cannot hold.
    version = models.CharField(max_length=20)
    context = models.CharField(max_length=64)
    state = models.PositiveSmallIntegerField(choices=[(n, w) for w, n in BUILD_STATES.items()])
    state_reason = models.TextField(blank=True, null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_hint = models.TextField(blank=True)
    #: lines of a component's log that explain why it failed (``builds.services.excerpts``)
    error_excerpt = models.JSONField(null=True, blank=True)

    scratch = models.BooleanField(default=False)
    scmurl = models.TextField(blank=True, null=True)
    modulemd = models.TextField()
    owner = models.CharField(max_length=255)
    srpms = models.JSONField(default=list)
    rebuild_strategy = models.CharField(max_length=32, default="changed-and-after")
    reuse_components_from = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    reused_module = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="reused_by"
    )

    #: Copy of ``xmd.mbs.buildrequires``, so that lists need not parse the document.
    buildrequires = models.JSONField(default=dict)
    #: Run-time requirements: one mapping (module name -> streams) per dependency list of the document.
    requires = models.JSONField(default=list)
    #: Commit that the document was read from.
    commit = models.CharField(max_length=64, blank=True)
    #: Text that base modules put into the dist tags of modules built against them.
    disttag_marking = models.CharField(max_length=64, blank=True)
    required_modules = models.ManyToManyField(
        "self", through="BuildRequirement", symmetrical=False, related_name="required_by"
    )
    build_context = models.CharField(max_length=40, blank=True, null=True)
    build_context_no_bms = models.CharField(max_length=40, blank=True, null=True)
    runtime_context = models.CharField(max_length=40, blank=True, null=True)
    stream_version = models.FloatField(null=True, blank=True)
    virtual_streams = models.ManyToManyField(VirtualStream, blank=True)
    arches = models.ManyToManyField(Arch, blank=True)
    #: Names of ``arches``, in the order of the build system.
    arch_names = models.JSONField(default=list)
    #: Dist tag of its RPMs, without the leading dot.
    disttag = models.CharField(max_length=255, blank=True)

    koji_tag = models.CharField(max_length=256, blank=True, null=True)
    cg_build_koji_tag = models.CharField(max_length=256, blank=True, null=True)
    new_repo_task_id = models.BigIntegerField(null=True, blank=True)
    #: Folder or address of the finished module's repositories.
    topdir = models.TextField(blank=True)
    #: how users get the finished module (``buildsys.base.Delivery``)
    repository_url = models.TextField(blank=True, default="", db_default="")
    repo_file_url = models.TextField(blank=True, default="", db_default="")
    install = models.JSONField(null=True, blank=True)

    time_submitted = models.DateTimeField(default=timezone.now)
    time_modified = models.DateTimeField(default=timezone.now)
    time_completed = models.DateTimeField(null=True, blank=True)

    #: Time of the submission or of the latest resumption.
    started_at = models.DateTimeField(default=timezone.now)
    run = models.PositiveIntegerField(default=0)
    batch = models.PositiveIntegerField(default=0)
    #: Number of the last batch; batches are numbered from 1 without gaps.
    batches = models.PositiveIntegerField(default=0)
    #: Whether components wait for the ones that they name (``buildafter``), instead of for batches.
    graph = models.BooleanField(default=False)
    phase = models.CharField(max_length=16, choices=Phase.choices, default=Phase.DONE)
    progress_at = models.DateTimeField(default=timezone.now)
    #: End of the lease of the process that publishes this build's outbox.
    publishing_until = models.DateTimeField(null=True, blank=True)
    #: End of the lease of the process that checks the git repositories of its components.
    checking_until = models.DateTimeField(null=True, blank=True)
    #: Time at which the build failed, until the build system has abandoned it; then null.
    abandon_since = models.DateTimeField(null=True, blank=True)
    #: End of the lease of the process that has the build system abandon it.
    abandoning_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name", "stream", "version", "context"], name="one_build_per_nsvc"
            )
        ]
        indexes = [
            models.Index("name", "stream", Length("version"), "version", name="module_nsv"),
            models.Index(Length("version"), "version", "id", name="module_version"),
            models.Index(fields=["version", "id"], name="module_version_text"),
            models.Index(
                fields=["id"],
                condition=models.Q(abandon_since__isnull=False),
                name="module_abandon",
            ),
            models.Index(fields=["name", "stream", "id"], name="module_of_stream"),
            # Beginnings of names are found in it whatever the collation of the database is.
            models.Index(fields=["name"], name="module_name_prefix", opclasses=["varchar_pattern_ops"]),
            # Covers deep pages of lists with any of these filters: they are found by an index-only scan.
            models.Index(
                fields=[
                    *("id", "state", "owner", "scratch", "batch", "stream_version"),
                    *("time_submitted", "time_modified", "time_completed"),
                ],
                name="module_list",
            ),
            *(
                models.Index(fields=[column, "id"], name=f"module_{column}")
                for column in (
                    "name",
                    "stream",
                    "context",
                    "state",
                    "owner",
                    "koji_tag",
                    "cg_build_koji_tag",
                    "scmurl",
                    "new_repo_task_id",
                    "stream_version",
                    "build_context",
                    "build_context_no_bms",
                    "runtime_context",
                    "time_submitted",
                    "time_modified",
                    "time_completed",
                    # For filters that match few builds.
                    "batch",
                    "scratch",
                    "rebuild_strategy",
                    "error_code",
                    "commit",
                )
            ),
        ]

    def __str__(self) -> str:
        return str(self.nsvc)

    @property
    def nsvc(self) -> NSVC:
        """Return name, stream, version and context."""
        return NSVC(self.name, self.stream, self.version, self.context)

    @property
    def state_name(self) -> str:
        """Return the name of the state, such as ``build``."""
        return BuildState(self.state).word

    @property
    def waits_for(self) -> str:
        """Return the event that ends the current state or phase; empty after the build has ended."""
        state = BuildState(self.state)
        return Phase(self.phase).label if state == BuildState.BUILD else state.waits_for

    @property
    def shown_state(self) -> str:
        """Return the state to show: ``canceled`` for canceled builds, otherwise the name of the state."""
        canceled = self.state == BuildState.FAILED and self.error_code == "canceled"
        return "canceled" if canceled else self.state_name


class BuildRequirement(models.Model):
    """A module that the buildroot of a module build contains, required directly or indirectly."""

    module_build = models.ForeignKey(ModuleBuild, on_delete=models.CASCADE, related_name="requirement_links")
    required = models.ForeignKey(ModuleBuild, on_delete=models.PROTECT, related_name="requirer_links")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["module_build", "required"], name="one_link_per_requirement")
        ]
        indexes = [models.Index(fields=["required", "module_build"], name="requirement_required")]


class ModuleBuildTrace(models.Model):
    """One change of a module build's state, written in the transaction that made it."""

    module_build = models.ForeignKey(ModuleBuild, on_delete=models.CASCADE, related_name="state_trace")
    state = models.PositiveSmallIntegerField()
    state_reason = models.TextField(blank=True, null=True)
    time = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
