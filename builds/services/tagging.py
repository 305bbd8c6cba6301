"""Tag the builds of a module, and request repositories of its buildroot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild, Phase
from builds.models.locking import locked
from builds.services import log_messages
from builds.services.build_system import as_module, build_system
from buildsys.base import RepoState, Tagged
from mbs import wait_keys
from mbs.states import BuildState, ComponentState


def tag(build: ModuleBuild, components: Sequence[ComponentBuild]) -> bool:
    """Tag builds into the buildroot and, unless they are build-time only, into the module.

    The build system is asked for the tags, because messages about them are not trusted.

    Returns:
        Whether all builds are tagged by now.
    """
    module, system = as_module(build), build_system()
    done = True
    for final in (True, False):
        part = [each for each in components if each.nvr and each.build_time_only is not final]
        if not part:
            continue
        nvrs = {str(component.nvr) for component in part}
        # A reused component has the task of the former module build.
        task_ids = {str(component.nvr): component.task_id for component in part if component.task_id}
        tagged = system.tag(module, sorted(nvrs), final=final, task_ids=task_ids)
        done = done and nvrs <= (tagged.buildroot & tagged.final if final else tagged.buildroot)
        _store(part, tagged)
    return done


def tagging_message(build: ModuleBuild, components: Sequence[ComponentBuild]) -> str:
    """Return the log message about the tagging of a batch; empty if the batch has no builds."""
    built = [each for each in components if each.nvr]
    if not built:
        return ""
    final = sum(not each.build_time_only for each in built)
    tags = f"{build.koji_tag}-build" + (f" and {build.koji_tag}" if final else "")
    nvrs = log_messages.join_names(str(each.nvr) for each in built)
    return f"Batch {build.batch} is complete and being tagged into {tags}: {nvrs}."


def first_repo(build: ModuleBuild) -> bool:
    """Return whether the buildroot has a repository for the first batch; request a missing one.

    The number of the request is set in ``build.new_repo_task_id``, which the caller saves.
    """
    system = build_system()
    to_build = build.component_builds.filter(batch=1).exclude(state=ComponentState.COMPLETE)
    if not system.capabilities.first_repo or not to_build.exists():
        return True
    module = as_module(build)
    if build.new_repo_task_id is None:
        build.new_repo_task_id = system.request_repo(module)
    status = system.repo_status(module, build.new_repo_task_id, ())
    if status.state is RepoState.FAILED:
        build.new_repo_task_id = system.request_repo(module)
        status = system.repo_status(module, build.new_repo_task_id, ())
    return status.state is RepoState.READY


def in_repo(build: ModuleBuild, nvrs: Collection[str]) -> set[str]:
    """Return which builds are in the buildroot's newest repository; request a new one if some are missing.

    The number of the request is set in ``build.new_repo_task_id``, which the caller saves.

    Returns:
        A subset of ``nvrs``; empty while the repository is being regenerated.
    """
    module, system = as_module(build), build_system()
    found: set[str] = set()
    status = None
    if build.new_repo_task_id is not None:
        status = system.repo_status(module, build.new_repo_task_id, list(nvrs))
        if status.missing:
            found = set(nvrs) - set(status.missing)
    if status is None or status.state is RepoState.FAILED:
        build.new_repo_task_id = system.request_repo(module)
        if not found:
            status = system.repo_status(module, build.new_repo_task_id, list(nvrs))
    return set(nvrs) if status and status.state is RepoState.READY else found


def record_tagged(koji_tag: str, nvr: str, *, final: bool) -> None:
    """Record that a message reports a build as tagged.

    When all builds of a batch are reported, the task that waits for the tags is woken. It asks the build
    system once, instead of once for each build. The message is ignored if no task waits for tags, or if the
    tag or the build is unknown.

    Args:
        koji_tag: The module's tag, without the suffix of the buildroot's tag.
        nvr: The build.
        final: Whether the build is in the module's tag; otherwise it is in the buildroot's tag.
    """
    prefixes = tuple(f"{prefix}-" for prefix in settings.MBS.KOJI_TAG_PREFIXES)
    if not koji_tag.startswith(prefixes):
        # This may be the tag of finished modules, for which a module in done waits.
        return dispatch.wake(wait_keys.tag(nvr))
    awaited = Q(module_build__phase=Phase.TAGGING) | Q(module_build__graph=True)
    component = (
        ComponentBuild.objects.filter(
            awaited,
            nvr=nvr,
            batch=F("module_build__batch"),
            module_build__koji_tag=koji_tag,
            module_build__state=BuildState.BUILD,
        )
        .select_related("module_build")
        .first()
    )
    if component is None:
        return
    field = "tagged_in_final" if final else "tagged"
    ComponentBuild.objects.filter(pk=component.pk).update(**{field: True})
    outstanding = ComponentBuild.objects.filter(
        Q(tagged=False) | Q(tagged_in_final=False, build_time_only=False),
        module_build=component.module_build_id,
        batch=component.batch,
    )
    if component.module_build.graph or not outstanding.exists():
        dispatch.wake(wait_keys.tag(koji_tag))


def _store(components: Sequence[ComponentBuild], known: Tagged) -> None:
    """Save the tags of components that have changed, also if messages reported them wrongly."""
    changed: dict[tuple[bool, bool], list[ComponentBuild]] = defaultdict(list)
    for each in components:
        found = each.nvr in known.buildroot, each.nvr in known.final and not each.build_time_only
        if found != (each.tagged, each.tagged_in_final):
            changed[found].append(each)
    if not changed:
        return
    with transaction.atomic():
        # Lock in the common order, to prevent deadlocks.
        numbers = [each.pk for rows in changed.values() for each in rows]
        list(locked(ComponentBuild.objects.filter(pk__in=numbers)).values_list("pk"))
        for (tagged, in_final), rows in changed.items():
            ComponentBuild.objects.filter(pk__in=[each.pk for each in rows]).update(
                tagged=tagged, tagged_in_final=in_final
            )
    for (tagged, in_final), rows in changed.items():
        for each in rows:
            each.tagged, each.tagged_in_final = tagged, in_final
