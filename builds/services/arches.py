"""Choose the architectures that a module is built for (docs/contract/modulemd.md, "Components")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.conf import settings

from builds.models import Arch, ComponentBuild, ModuleBuild
from builds.services.build_system import as_module, build_system
from mbs.errors import Problem, Unprocessable
from mbs.modulemd import StreamV2, parse_stream


def settle(build: ModuleBuild, of_base_module: Sequence[str]) -> list[str]:
    """Choose the architectures of a build as ``choose`` does, link them to it, and return their names."""
    chosen = choose(build, of_base_module, build.component_builds.all())
    through = ModuleBuild.arches.through
    links = [through(modulebuild=build, arch_id=pk) for pk in _numbers(chosen)]
    through.objects.bulk_create(links, ignore_conflicts=True)
    return chosen


def choose(
    build: ModuleBuild, of_base_module: Sequence[str], components: Iterable[ComponentBuild]
) -> list[str]:
    """Return the architectures of a build. Nothing is saved.

    Args:
        build: The build, which need not be saved.
        of_base_module: The build system's architectures for the base module. They are used if neither
            ``BASE_MODULE_ARCHES`` nor ``koji_tag_arches`` of the document name any.
        components: Components of the build.

    Raises:
        Unprocessable: The module or a component limits itself to architectures that are not available.
    """
    document = parse_stream(build.modulemd, strict=False)
    chosen = _limited(build, document, _named(build, document) or of_base_module or settings.MBS.ARCHES)
    _check_components(components, chosen)
    return chosen


def check(build: ModuleBuild, document: StreamV2, components: Iterable[ComponentBuild]) -> None:
    """Refuse a submitted build or component that has no architecture, if the architectures are known.

    A hub is not asked, so that submissions are accepted while it is unavailable. ``choose`` repeats the check
    in ``init``, where the hub is asked.

    Args:
        build: The build, not saved yet.
        document: Its modulemd document.
        components: Its components, not saved yet.

    Raises:
        Unprocessable: As for ``choose``.
    """
    system = build_system()
    names = _named(build, document)
    if not names and system.capabilities.knows_arches:
        names = list(system.arches(as_module(build)) or settings.MBS.ARCHES)
    chosen = _limited(build, document, names) if names else list(document.buildopts.arches)
    if chosen:
        _check_components(components, chosen)


def _named(build: ModuleBuild, document: StreamV2) -> list[str]:
    """Return the architectures that the configuration or the document names, or none."""
    required = [name for name in settings.MBS.BASE_MODULE_NAMES if name in build.buildrequires]
    base = f"{required[0]}:{build.buildrequires[required[0]]['stream']}" if required else ""
    configured = settings.MBS.BASE_MODULE_ARCHES.get(base)
    return list(configured or (document.xmd.get("mbs") or {}).get("koji_tag_arches") or ())


def _limited(build: ModuleBuild, document: StreamV2, names: Sequence[str]) -> list[str]:
    """Return the architectures that ``buildopts.arches`` allows; all of them if it names none."""
    wanted = document.buildopts.arches
    chosen = [name for name in names if not wanted or name in wanted]
    if not chosen:
        raise Unprocessable(
            f"{build.nsvc} is to be built for {' '.join(wanted)} only, but its base module is for "
            f"{' '.join(names)}.",
            code="no_arch",
            hint="Name at least one of the base module's architectures in buildopts.arches.",
        )
    return chosen


def _check_components(components: Iterable[ComponentBuild], chosen: Sequence[str]) -> None:
    """Refuse components that have no architecture in common with the module.

    Raises:
        Unprocessable: ``component_without_arch``, with a problem for each component.
    """
    problems = [
        Problem(
            "component_without_arch",
            f"{each.package} is for {' '.join(each.arches)} only, but the module is built for "
            f"{' '.join(chosen)}.",
            component=each.package,
            key="arches",
            hint="Add one of the module's architectures to the component, or remove it from the module.",
        )
        for each in sorted(components, key=lambda component: component.package)
        if each.arches and not set(each.arches) & set(chosen)
    ]
    if problems:
        raise Unprocessable(
            " ".join(each.message for each in problems),
            code=problems[0].code,
            hint=problems[0].hint,
            problems=problems,
        )


def _numbers(names: Sequence[str]) -> list[int]:
    """Return the primary keys of these architectures, after creating missing rows."""
    rows = Arch.objects.filter(name__in=names)
    known = dict(rows.values_list("name", "pk"))
    if missing := [name for name in names if name not in known]:
        Arch.objects.bulk_create([Arch(name=name) for name in missing], ignore_conflicts=True)
        known = dict(rows.values_list("name", "pk"))
    return [known[name] for name in names]
