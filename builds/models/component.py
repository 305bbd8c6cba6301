"""Component builds and their history."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from builds.models.module import ModuleBuild
from mbs import wait_keys
from mbs.states import COMPONENT_STATES, ComponentState


class ComponentBuild(models.Model):
    """One source package of a module build.

    ``state`` is null until the component gets a slot. A component occupies a slot while its state is BUILDING
    (``builds.services.slots``). ``task_id``, the task in the build system, is null until the build system has
    accepted the submission.
    """

    module_build = models.ForeignKey(ModuleBuild, on_delete=models.CASCADE, related_name="component_builds")
    package = models.CharField(max_length=255)
    format = models.CharField(max_length=16, default="rpms")
    scmurl = models.TextField(blank=True, null=True)
    ref = models.CharField(max_length=255, blank=True, null=True)
    #: Branch or tag that git did not resolve before the submission was recorded. It is resolved in init, and
    #: its commit stored in ``ref``.
    unresolved_ref = models.CharField(max_length=255, blank=True)
    batch = models.PositiveIntegerField()
    #: Packages that must be in the buildroot before this one starts (modulemd: buildafter).
    build_after = models.JSONField(default=list)
    #: Whether a package of ``build_after`` is not in the buildroot yet.
    blocked = models.BooleanField(default=False)
    in_buildroot = models.BooleanField(default=False)
    #: Whether it is built for the buildroot only, and not shipped (modulemd: buildonly).
    buildonly = models.BooleanField(default=False)
    build_time_only = models.BooleanField(default=False)
    #: Architectures, if the document limits them.
    arches = models.JSONField(default=list)
    #: Expected seconds of its build; 0: unknown.
    weight = models.FloatField(default=0)

    state = models.SmallIntegerField(
        null=True, blank=True, choices=[(n, w) for w, n in COMPONENT_STATES.items()]
    )
    state_reason = models.TextField(blank=True, null=True)
    #: it failed for the build system's machines, and not for its sources
    infrastructure = models.BooleanField(default=False, db_default=False)
    #: lines of its log that explain why it failed (``builds.services.excerpts``)
    excerpt = models.JSONField(null=True, blank=True)
    task_id = models.BigIntegerField(null=True, blank=True)
    task_url = models.TextField(blank=True)
    nvr = models.CharField(max_length=512, blank=True, null=True)
    tagged = models.BooleanField(default=False)
    tagged_in_final = models.BooleanField(default=False)
    #: Number of the build attempt. Resuming the module build or losing the build begins a new attempt.
    attempt = models.PositiveSmallIntegerField(default=1)
    #: Attempts that were repeated since the module build was started or resumed.
    losses = models.PositiveSmallIntegerField(default=0)
    #: End of the lease that allows one process to submit this component. Null: no submission was tried in
    #: this attempt, or it is recorded.
    submitting_until = models.DateTimeField(null=True, blank=True)

    reused_component = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="reused_by"
    )
    reuse_code = models.CharField(max_length=64, blank=True)
    reuse_detail = models.TextField(blank=True)

    time_started = models.DateTimeField(null=True, blank=True)
    time_completed = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["module_build", "package"], name="one_component_per_package")
        ]
        indexes = [
            models.Index(fields=["module_build", "batch"], name="component_batch"),
            models.Index(fields=["batch", "id"], name="component_batch_number"),
            # Beginnings of names are found in it whatever the collation of the database is.
            models.Index(
                fields=["package"], name="component_package_prefix", opclasses=["varchar_pattern_ops"]
            ),
            *(
                models.Index(fields=[column, "id"], name=f"component_{column}")
                for column in (
                    *("package", "state", "task_id", "nvr", "ref", "scmurl", "format", "weight"),
                    # For filters that match few components.
                    *("tagged", "tagged_in_final", "buildonly", "build_time_only"),
                )
            ),
        ]

    def __str__(self) -> str:
        return f"{self.package} of module build {self.module_build_id}"

    @property
    def state_name(self) -> str | None:
        """Return Koji's name of the state; None before the component has a slot."""
        return None if self.state is None else ComponentState(self.state).name

    @property
    def settled(self) -> bool:
        """Return whether the build has ended: complete, failed or canceled."""
        return self.state is not None and self.state != ComponentState.BUILDING

    @property
    def wait_key(self) -> str:
        """Return the key of the wait for the end of this build."""
        return wait_keys.component(self.pk)


class ComponentBuildTrace(models.Model):
    """One change of a component's state, written in the transaction that made it."""

    component_build = models.ForeignKey(ComponentBuild, on_delete=models.CASCADE, related_name="state_trace")
    state = models.SmallIntegerField(null=True)
    state_reason = models.TextField(blank=True, null=True)
    task_id = models.BigIntegerField(null=True)
    time = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
