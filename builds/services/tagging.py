"""What was built, put into the module's tags, and into the repository of its buildroot."""

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
    """Have builds tagged: into the buildroot and, but for what is build-time only, into the module.

    What messages told of tags is no reason to believe it: the build system is asked once for all.

    :return: whether all of them are tagged by now; ask again when not.
    """
    module, system = as_module(build), build_system()
    done = True
    for final in (True, False):
        part = [each for each in components if each.nvr and each.build_time_only is not final]
        if not part:
            continue
        nvrs = {str(component.nvr) for component in part}
        # A reused component has the number of the submission that built it for the former module.
        task_ids = {str(component.nvr): component.task_id for component in part if component.task_id}
        tagged = system.tag(module, sorted(nvrs), final=final, task_ids=task_ids)
        done = done and nvrs <= (tagged.buildroot & tagged.final if final else tagged.buildroot)
        _store(part, tagged)
    return done


def tagging_message(build: ModuleBuild, components: Sequence[ComponentBuild]) -> str:
    """Say for the log of a build which builds of a batch are going to be tagged, and where."""
    built = [each for each in components if each.nvr]
    if not built:
        return ""
    final = sum(not each.build_time_only for each in built)
    tags = f"{build.koji_tag}-build" + (f" and {build.koji_tag}" if final else "")
    nvrs = log_messages.listed(str(each.nvr) for each in built)
    return f"Batch {build.batch} is complete: {len(built)} builds are being tagged into {tags}: {nvrs}."


def first_repo(build: ModuleBuild) -> bool:
    """Whether the first batch finds a repository of the buildroot; one is asked for where it is missing.

    ``build.new_repo_task_id`` is the request; the caller saves it.
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
    """Which builds the newest repository of the buildroot holds; one that lacks some is asked for anew.

    ``build.new_repo_task_id`` is the newest request; the caller saves it.

    :return: a part of ``nvrs``; nothing while the repository is being regenerated.
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


def note_tagged(koji_tag: str, nvr: str, *, final: bool) -> None:
    """Note that a message says of a build that it is in its module's tag, or in that of the buildroot.

    The last of a batch wakes what waits for the tags, which asks the build system whether it is so: asking
    once for each build of a batch would be a hundred questions where one does. While nothing waits for
    tags, a message changes nothing.

    :param koji_tag: the module's own tag; that of an unknown module, or an unknown build, is no error.
    :param final: it is in the module's own tag; else in that of the buildroot.
    """
    prefixes = tuple(f"{prefix}-" for prefix in settings.MBS.KOJI_TAG_PREFIXES)
    if not koji_tag.startswith(prefixes):
        # Not a module's tag: one that consumers look into, perhaps, which a finished module waits for.
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
    """Store in which tags components are, where that is news; what messages said wrongly is taken back."""
    changed: dict[tuple[bool, bool], list[ComponentBuild]] = defaultdict(list)
    for each in components:
        found = each.nvr in known.buildroot, each.nvr in known.final and not each.build_time_only
        if found != (each.tagged, each.tagged_in_final):
            changed[found].append(each)
    if not changed:
        return
    with transaction.atomic():
        # In the order in which all lock them, or two that store at the same time wait for each other.
        numbers = [each.pk for rows in changed.values() for each in rows]
        list(locked(ComponentBuild.objects.filter(pk__in=numbers)).values_list("pk"))
        for (tagged, in_final), rows in changed.items():
            ComponentBuild.objects.filter(pk__in=[each.pk for each in rows]).update(
                tagged=tagged, tagged_in_final=in_final
            )
    for (tagged, in_final), rows in changed.items():
        for each in rows:
            each.tagged, each.tagged_in_final = tagged, in_final
