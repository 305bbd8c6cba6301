"""Choose the architectures that a module is built for (docs/contract/modulemd.md, "Components")."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from builds.models import Arch, ModuleBuild
from mbs.errors import Problem, Unprocessable
from mbs.modulemd import StreamV2, parse_stream


def settle(build: ModuleBuild, of_base_module: Sequence[str]) -> list[str]:
    """Choose the architectures of a build as ``choose`` does, link them to it, and return their names."""
    chosen = choose(build, of_base_module)
    through = ModuleBuild.arches.through
    links = [through(modulebuild=build, arch_id=pk) for pk in _numbers(chosen)]
    through.objects.bulk_create(links, ignore_conflicts=True)
    return chosen


def choose(build: ModuleBuild, of_base_module: Sequence[str]) -> list[str]:
    """Return the architectures of a build. Nothing is saved.

    Args:
        build: The build, which need not be saved.
        of_base_module: The build system's architectures for the base module. They are used if neither
            ``BASE_MODULE_ARCHES`` nor ``koji_tag_arches`` of the document name any.

    Raises:
        Unprocessable: The module or a component limits itself to architectures that are not available.
    """
    document = parse_stream(build.modulemd, strict=False)
    base = next(
        (
            f"{name}:{build.buildrequires[name]['stream']}"
            for name in settings.MBS.BASE_MODULE_NAMES
            if name in build.buildrequires
        ),
        "",
    )
    names = list(
        settings.MBS.BASE_MODULE_ARCHES.get(base)
        or (document.xmd.get("mbs") or {}).get("koji_tag_arches")
        or of_base_module
        or settings.MBS.ARCHES
    )
    wanted = document.buildopts.arches
    chosen = [name for name in names if not wanted or name in wanted]
    if not chosen:
        raise Unprocessable(
            f"{build.nsvc} is to be built for {' '.join(wanted)} only, but its base module is for "
            f"{' '.join(names)}.",
            code="no_arch",
            hint="Name at least one of the base module's architectures in buildopts.arches.",
        )
    _check_components(build, document, chosen)
    return chosen


def _check_components(build: ModuleBuild, document: StreamV2, chosen: Sequence[str]) -> None:
    """Refuse components that have no architecture in common with the module.

    Raises:
        Unprocessable: ``component_without_arch``, with a problem for each component.
    """
    wanted = {each.name: list(each.arches) for each in document.rpm_components.values()}
    if build.pk:
        # The document does not contain the components of included modules.
        wanted |= dict(build.component_builds.values_list("package", "arches"))
    problems = [
        Problem(
            "component_without_arch",
            f"{package} is for {' '.join(arches)} only, but the module is built for {' '.join(chosen)}.",
            component=package,
            key="arches",
            hint="Add one of the module's architectures to the component, or remove it from the module.",
        )
        for package, arches in sorted(wanted.items())
        if arches and not set(arches) & set(chosen)
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
