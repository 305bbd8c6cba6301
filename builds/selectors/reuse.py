"""Find the build whose components another build may reuse.

The rules are in docs/contract/modulemd.md, "Reuse of components".
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db.models import Case, Exists, OuterRef, Value, When

from builds.models import ComponentBuild, ModuleBuild
from builds.selectors.universe import DatabaseUniverse
from mbs.contexts import build_context
from mbs.errors import InvalidInput
from mbs.expansion import Settings
from mbs.expansion.rules import compatible
from mbs.modulemd import parse_stream
from mbs.nsvc import NSVC
from mbs.reuse import CHANGED_AND_AFTER, STRICT, Part, Parts
from mbs.states import BuildState
from mbs.text import whole_number


def reference_build(reference: str) -> ModuleBuild:
    """Return the build that a submission names in ``reuse_components_from``.

    Args:
        reference: Its number or its N:S:V:C.

    Raises:
        InvalidInput: There is no such build, or it is not ready.
    """
    rows = ModuleBuild.objects.defer("modulemd")
    nsvc = NSVC.split(reference)
    if (number := whole_number(reference)) is not None:
        build = rows.filter(pk=number).first()
    elif len(nsvc) == 4:
        build = rows.filter(**nsvc).first()
    else:
        raise InvalidInput(
            f"reuse_components_from is {reference[:80]!r}, which is neither a number nor an N:S:V:C.",
            code="invalid_reuse_components_from",
            hint="Give the number of a module build, or its name:stream:version:context.",
        )
    if build is None:
        raise InvalidInput(
            f"reuse_components_from: there is no module build {reference[:80]}.",
            code="unknown_reuse_components_from",
        )
    if build.state != BuildState.READY:
        raise InvalidInput(
            f"reuse_components_from: module build {reference[:80]} is {build.state_name}, not ready.",
            code="reuse_components_from_not_ready",
            hint="Name a build that is ready, or leave reuse_components_from out.",
        )
    return build


def former_build(build: ModuleBuild) -> ModuleBuild | None:
    """Return the build whose components this build may reuse, if there is one.

    It is the build that the submission names. Otherwise it is the newest ready build from git that has the
    same name and stream and was built against the same streams. If compatible base modules may be used, the
    newest base module with such a build is chosen.

    Args:
        build: A build, which need not be saved.
    """
    if build.reuse_components_from is not None:
        return build.reuse_components_from
    contexts = _contexts(build)
    own_components = ComponentBuild.objects.filter(module_build=OuterRef("pk"))
    rows = ModuleBuild.objects.filter(
        Exists(own_components),
        name=build.name,
        stream=build.stream,
        state=BuildState.READY,
        scratch=False,
        scmurl__isnull=False,
        build_context__in=contexts,
    ).exclude(pk=build.pk)
    if build.rebuild_strategy == CHANGED_AND_AFTER:
        rows = rows.filter(rebuild_strategy__in=STRICT)
    place = Case(*(When(build_context=each, then=Value(number)) for number, each in enumerate(contexts)))
    return rows.order_by(place, "-time_completed", "-pk").first()


def _contexts(build: ModuleBuild) -> list[str]:
    """Return the accepted build contexts, one for each compatible base module, the best first."""
    options = Settings.from_options(settings.MBS)
    bases = [
        (name, build.buildrequires[name]["stream"])
        for name in options.base_modules
        if name in build.buildrequires
    ]
    found: dict[str, None] = {}
    for name, stream in bases:
        for other in _compatible(name, stream, options):
            found[build_context({**build.buildrequires, name: {"stream": other}})] = None
    return list(found) or [build.build_context or ""]


def _compatible(name: str, stream: str, options: Settings) -> list[str]:
    """Return the base module streams whose builds may be reused, the newest first."""
    if not options.only_compatible:
        # ALLOW_ONLY_COMPATIBLE_BASE_MODULES = False affects expansion only; reuse needs the same stream.
        return [stream]
    known = DatabaseUniverse().base_modules([name])
    base = next((each for each in known if each.stream == stream), None)
    if base is None:
        return [stream]
    others = [each for group in compatible(base, known, options) for each in group]
    return [each.stream for each in sorted(others, key=lambda each: -options.number(each.stream))]


def parts(build: ModuleBuild, components: Sequence[ComponentBuild]) -> Parts:
    """Return the properties of a build and its components that decide about reuse.

    Args:
        build: A build, which need not be saved, but has its ``arch_names``.
        components: Its components. module-build-macros is ignored.
    """
    macros = parse_stream(build.modulemd, strict=False).buildopts.rpm_macros
    return Parts(
        name=str(build.nsvc),
        strategy=build.rebuild_strategy,
        parts=[
            Part(
                package=each.package,
                commit=each.ref or "",
                batch=each.batch,
                arches=frozenset(each.arches or build.arch_names),
                after=frozenset(each.build_after),
            )
            for each in components
            if not each.build_time_only
        ],
        macros=macros or "",
    )
