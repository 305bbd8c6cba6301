import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
import uuid
from django.db import migrations, models


#: what databases may have gone through before; this has the same effect
EARLIER = (
    "0001_initial",
    "0002_final_modulemd",
    "0003_api_token",
    "0004_submission",
    "0005_batches",
    "0006_filter_indexes",
    "0007_graph",
    "0008_finalizing",
    "0009_list_indexes",
)


class Migration(migrations.Migration):
    replaces = [("builds", name) for name in EARLIER]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("owner", models.CharField(db_index=True, max_length=255)),
                ("groups", models.JSONField(default=list)),
                ("name", models.CharField(help_text="What it is for", max_length=100)),
                ("start", models.CharField(max_length=16)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("scopes", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Arch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="BuildRequirement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Lock",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
            ],
        ),
        migrations.CreateModel(
            name="ModuleBuild",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("stream", models.CharField(max_length=255)),
                ("version", models.CharField(max_length=20)),
                ("context", models.CharField(max_length=64)),
                (
                    "state",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (0, "init"),
                            (1, "wait"),
                            (2, "build"),
                            (3, "done"),
                            (4, "failed"),
                            (5, "ready"),
                            (6, "garbage"),
                        ]
                    ),
                ),
                ("state_reason", models.TextField(blank=True, null=True)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_hint", models.TextField(blank=True)),
                ("scratch", models.BooleanField(default=False)),
                ("scmurl", models.TextField(blank=True, null=True)),
                ("modulemd", models.TextField()),
                ("owner", models.CharField(max_length=255)),
                ("srpms", models.JSONField(default=list)),
                ("rebuild_strategy", models.CharField(default="changed-and-after", max_length=32)),
                ("buildrequires", models.JSONField(default=dict)),
                ("requires", models.JSONField(default=list)),
                ("commit", models.CharField(blank=True, max_length=64)),
                ("disttag_marking", models.CharField(blank=True, max_length=64)),
                ("build_context", models.CharField(blank=True, max_length=40, null=True)),
                ("build_context_no_bms", models.CharField(blank=True, max_length=40, null=True)),
                ("runtime_context", models.CharField(blank=True, max_length=40, null=True)),
                ("stream_version", models.FloatField(blank=True, null=True)),
                ("arch_names", models.JSONField(default=list)),
                ("disttag", models.CharField(blank=True, max_length=255)),
                ("koji_tag", models.CharField(blank=True, max_length=256, null=True)),
                ("cg_build_koji_tag", models.CharField(blank=True, max_length=256, null=True)),
                ("new_repo_task_id", models.BigIntegerField(blank=True, null=True)),
                ("topdir", models.TextField(blank=True)),
                ("time_submitted", models.DateTimeField(default=django.utils.timezone.now)),
                ("time_modified", models.DateTimeField(default=django.utils.timezone.now)),
                ("time_completed", models.DateTimeField(blank=True, null=True)),
                ("run", models.PositiveIntegerField(default=0)),
                ("batch", models.PositiveIntegerField(default=0)),
                ("batches", models.PositiveIntegerField(default=0)),
                ("graph", models.BooleanField(default=False)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("starting", "components are being submitted"),
                            ("building", "components build"),
                            ("tagging", "what was built is being tagged"),
                            ("regenerating", "the repository is being regenerated"),
                            ("done", "the next batch may start"),
                            ("finalizing", "the finished module is being recorded"),
                        ],
                        default="done",
                        max_length=16,
                    ),
                ),
                ("progress_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("publishing_until", models.DateTimeField(blank=True, null=True)),
                ("arches", models.ManyToManyField(blank=True, to="builds.arch")),
                (
                    "required_modules",
                    models.ManyToManyField(
                        related_name="required_by", through="builds.BuildRequirement", to="builds.modulebuild"
                    ),
                ),
                (
                    "reuse_components_from",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="builds.modulebuild",
                    ),
                ),
                (
                    "reused_module",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="reused_by",
                        to="builds.modulebuild",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("name"),
                        models.F("stream"),
                        django.db.models.functions.text.Length("version"),
                        models.F("version"),
                        name="module_nsv",
                    ),
                    models.Index(
                        django.db.models.functions.text.Length("version"),
                        models.F("version"),
                        models.F("id"),
                        name="module_version",
                    ),
                    models.Index(fields=["version", "id"], name="module_version_text"),
                    models.Index(fields=["state", "progress_at"], name="module_progress"),
                    models.Index(
                        fields=[
                            "id",
                            "state",
                            "owner",
                            "scratch",
                            "batch",
                            "stream_version",
                            "time_submitted",
                            "time_modified",
                            "time_completed",
                        ],
                        name="module_list",
                    ),
                    models.Index(fields=["name", "id"], name="module_name"),
                    models.Index(fields=["stream", "id"], name="module_stream"),
                    models.Index(fields=["context", "id"], name="module_context"),
                    models.Index(fields=["state", "id"], name="module_state"),
                    models.Index(fields=["owner", "id"], name="module_owner"),
                    models.Index(fields=["koji_tag", "id"], name="module_koji_tag"),
                    models.Index(fields=["cg_build_koji_tag", "id"], name="module_cg_build_koji_tag"),
                    models.Index(fields=["scmurl", "id"], name="module_scmurl"),
                    models.Index(fields=["new_repo_task_id", "id"], name="module_new_repo_task_id"),
                    models.Index(fields=["stream_version", "id"], name="module_stream_version"),
                    models.Index(fields=["build_context", "id"], name="module_build_context"),
                    models.Index(fields=["build_context_no_bms", "id"], name="module_build_context_no_bms"),
                    models.Index(fields=["runtime_context", "id"], name="module_runtime_context"),
                    models.Index(fields=["time_submitted", "id"], name="module_time_submitted"),
                    models.Index(fields=["time_modified", "id"], name="module_time_modified"),
                    models.Index(fields=["time_completed", "id"], name="module_time_completed"),
                    models.Index(fields=["batch", "id"], name="module_batch"),
                    models.Index(fields=["scratch", "id"], name="module_scratch"),
                    models.Index(fields=["rebuild_strategy", "id"], name="module_rebuild_strategy"),
                    models.Index(fields=["error_code", "id"], name="module_error_code"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("name", "stream", "version", "context"), name="one_build_per_nsvc"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Sweep",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("result", models.JSONField(default=dict)),
                ("error", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="TaskCrash",
            fields=[
                ("celery_task_id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("count", models.PositiveSmallIntegerField(default=0)),
                ("last_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name="VirtualStream",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="ComponentBuild",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("package", models.CharField(max_length=255)),
                ("format", models.CharField(default="rpms", max_length=16)),
                ("scmurl", models.TextField(blank=True, null=True)),
                ("ref", models.CharField(blank=True, max_length=255, null=True)),
                ("batch", models.PositiveIntegerField()),
                ("build_after", models.JSONField(default=list)),
                ("blocked", models.BooleanField(default=False)),
                ("in_buildroot", models.BooleanField(default=False)),
                ("build_time_only", models.BooleanField(default=False)),
                ("arches", models.JSONField(default=list)),
                ("weight", models.FloatField(default=0)),
                (
                    "state",
                    models.SmallIntegerField(
                        blank=True,
                        choices=[
                            (0, "BUILDING"),
                            (1, "COMPLETE"),
                            (2, "DELETED"),
                            (3, "FAILED"),
                            (4, "CANCELED"),
                        ],
                        null=True,
                    ),
                ),
                ("state_reason", models.TextField(blank=True, null=True)),
                ("task_id", models.BigIntegerField(blank=True, null=True)),
                ("task_url", models.TextField(blank=True)),
                ("nvr", models.CharField(blank=True, max_length=512, null=True)),
                ("tagged", models.BooleanField(default=False)),
                ("tagged_in_final", models.BooleanField(default=False)),
                ("attempt", models.PositiveSmallIntegerField(default=1)),
                ("submitting_until", models.DateTimeField(blank=True, null=True)),
                ("reuse_code", models.CharField(blank=True, max_length=64)),
                ("reuse_detail", models.TextField(blank=True)),
                ("time_started", models.DateTimeField(blank=True, null=True)),
                ("time_completed", models.DateTimeField(blank=True, null=True)),
                (
                    "reused_component",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="reused_by",
                        to="builds.componentbuild",
                    ),
                ),
                (
                    "module_build",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="component_builds",
                        to="builds.modulebuild",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["module_build", "batch"], name="component_batch"),
                    models.Index(fields=["batch", "id"], name="component_batch_number"),
                    models.Index(fields=["package", "id"], name="component_package"),
                    models.Index(fields=["state", "id"], name="component_state"),
                    models.Index(fields=["task_id", "id"], name="component_task_id"),
                    models.Index(fields=["nvr", "id"], name="component_nvr"),
                    models.Index(fields=["ref", "id"], name="component_ref"),
                    models.Index(fields=["scmurl", "id"], name="component_scmurl"),
                    models.Index(fields=["format", "id"], name="component_format"),
                    models.Index(fields=["weight", "id"], name="component_weight"),
                    models.Index(fields=["tagged", "id"], name="component_tagged"),
                    models.Index(fields=["tagged_in_final", "id"], name="component_tagged_in_final"),
                    models.Index(fields=["build_time_only", "id"], name="component_build_time_only"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("module_build", "package"), name="one_component_per_package"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ComponentBuildTrace",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("state", models.SmallIntegerField(null=True)),
                ("state_reason", models.TextField(blank=True, null=True)),
                ("task_id", models.BigIntegerField(null=True)),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "component_build",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="state_trace",
                        to="builds.componentbuild",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Submission",
            fields=[
                (
                    "module_build",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="submission",
                        serialize=False,
                        to="builds.modulebuild",
                    ),
                ),
                ("request", models.JSONField(default=dict)),
            ],
        ),
        migrations.CreateModel(
            name="LogMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message", models.TextField()),
                ("time_created", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "component_build",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log_messages",
                        to="builds.componentbuild",
                    ),
                ),
                (
                    "module_build",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log_messages",
                        to="builds.modulebuild",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddField(
            model_name="buildrequirement",
            name="module_build",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="requirement_links",
                to="builds.modulebuild",
            ),
        ),
        migrations.AddField(
            model_name="buildrequirement",
            name="required",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="requirer_links",
                to="builds.modulebuild",
            ),
        ),
        migrations.CreateModel(
            name="ModuleBuildTrace",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("state", models.PositiveSmallIntegerField()),
                ("state_reason", models.TextField(blank=True, null=True)),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "module_build",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="state_trace",
                        to="builds.modulebuild",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="OutboxMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("topic", models.CharField(max_length=255)),
                ("body", models.JSONField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                (
                    "module_build",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="outbox",
                        to="builds.modulebuild",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("published_at__isnull", True)),
                        fields=["module_build", "id"],
                        name="outbox_unpublished",
                    ),
                    models.Index(fields=["published_at"], name="outbox_published"),
                ],
            },
        ),
        migrations.AddField(
            model_name="modulebuild",
            name="virtual_streams",
            field=models.ManyToManyField(blank=True, to="builds.virtualstream"),
        ),
        migrations.CreateModel(
            name="Wait",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=300)),
                ("celery_task_id", models.CharField(max_length=64, unique=True)),
                ("run", models.PositiveIntegerField()),
                ("signature", models.JSONField()),
                ("what", models.CharField(max_length=500)),
                ("wakes_on", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("woken_at", models.DateTimeField(blank=True, null=True)),
                (
                    "component_build",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="waits",
                        to="builds.componentbuild",
                    ),
                ),
                (
                    "module_build",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="waits",
                        to="builds.modulebuild",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["key"], name="wait_key"),
                    models.Index(fields=["woken_at"], name="wait_woken"),
                    models.Index(fields=["created_at"], name="wait_created"),
                ],
            },
        ),
        migrations.CreateModel(
            name="FinalModulemd",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("arch", models.CharField(max_length=64)),
                ("document", models.TextField()),
                (
                    "module_build",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="final_modulemds",
                        to="builds.modulebuild",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("module_build", "arch"), name="one_document_per_arch")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="buildrequirement",
            index=models.Index(fields=["required", "module_build"], name="requirement_required"),
        ),
        migrations.AddConstraint(
            model_name="buildrequirement",
            constraint=models.UniqueConstraint(
                fields=("module_build", "required"), name="one_link_per_requirement"
            ),
        ),
    ]
