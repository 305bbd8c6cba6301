"""What was built, put into the module's tags, and into the repository of its buildroot."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import F, Q

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild
from builds.services.systems import as_module, build_system
from buildsys.base import RepoState
from mbs.states import BuildState


def tag(build: ModuleBuild, components: Sequence[ComponentBuild]) -> bool:
    """Have builds tagged: into the buildroot and, but for what is build-time only, into the module.

    :return: whether all of them are tagged by now; ask again when not.
    """
    module, system = as_module(build), build_system()
    done = True
    for final in (True, False):
        part = [
            component
            for component in components
            if component.nvr and component.build_time_only is not final and not _tagged(component)
        ]
        if not part:
            continue
        nvrs = {str(component.nvr) for component in part}
        # A reused component has the number of the submission that built it for the former module.
        task_ids = {str(component.nvr): component.task_id for component in part if component.task_id}
        tagged = system.tag(module, sorted(nvrs), final=final, task_ids=task_ids)
        if nvrs <= (tagged.buildroot & tagged.final if final else tagged.buildroot):
            _mark(part, final=final)
        else:
            done = False
    return done


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


def record_tagged(koji_tag: str, nvr: str, *, final: bool) -> None:
    """Record that one build is in its module's tag, or in the one it is the buildroot of.

    The last of a batch wakes what waits for the tags: asking the build system once for each build of a
    batch would be a hundred questions where one does.

    :param koji_tag: the module's own tag; that of an unknown module, or an unknown build, is no error.
    :param final: it is in the module's own tag; else in that of the buildroot.
    """
    component = (
        ComponentBuild.objects.filter(
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
        dispatch.wake(f"tag:{koji_tag}")


def _tagged(component: ComponentBuild) -> bool:
    return component.tagged and (component.tagged_in_final or component.build_time_only)


def _mark(components: Sequence[ComponentBuild], *, final: bool) -> None:
    fields = {"tagged": True, "tagged_in_final": final}
    ComponentBuild.objects.filter(pk__in=[component.pk for component in components]).update(**fields)
    for component in components:
        component.tagged, component.tagged_in_final = True, final
