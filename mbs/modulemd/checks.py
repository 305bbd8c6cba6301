"""Rules that concern more than one key, for every kind of stream document.

Source: the modulemd specifications, and libmodulemd 2.14 where they leave a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mbs.batches import BuildafterError, waits_for
from mbs.modulemd.documents import Buildopts, ModuleComponent, RpmComponent
from mbs.modulemd.fields import Fields
from mbs.modulemd.nodes import clip

_STATIC_CONTEXT = re.compile(r"[0-9A-Za-z_]{1,13}")
_PACKAGER_CONTEXT = re.compile(r"[0-9A-Za-z]{1,10}")


def is_nevra(text: str) -> bool:
    """Whether this is ``name-epoch:version-release.arch``, as far as libmodulemd looks."""
    rest, dot, _arch = text.rpartition(".")
    rest, dash, _release = rest.rpartition("-")
    rest, colon, version = rest.rpartition(":")
    _name, second_dash, epoch = rest.rpartition("-")
    complete = dot and dash and colon and second_dash
    return bool(complete) and "-" not in version and epoch[:1] in set("0123456789")


def check_static_context(fields: Fields, static: bool) -> None:
    """A static context that is given has 1 to 13 of ``[0-9A-Za-z_]``."""
    context = fields.text("context")
    if static and context is not None and not _STATIC_CONTEXT.fullmatch(context):
        fields.problem(
            "invalid_context",
            f"The static context {clip(context)} must be 1 to 13 of the characters 0-9, A-Z, a-z and _.",
            "context",
        )


def check_packager_context(fields: Fields, context: str | None) -> None:
    """The context of a packager v3 configuration has 1 to 10 of ``[0-9A-Za-z]``."""
    if context is None:
        fields.problem("missing_key", f"{fields.path} has no context.", "context")
    elif not _PACKAGER_CONTEXT.fullmatch(context):
        fields.problem(
            "invalid_context",
            f"The context {clip(context)} must be 1 to 10 of the characters 0-9, A-Z and a-z.",
            "context",
        )


def check_signs(fields: Fields, requirements: Mapping[str, Iterable[str]]) -> None:
    """The streams that one module is required in are either all wanted or all unwanted."""
    for name, streams in requirements.items():
        if len({stream.startswith("-") for stream in streams}) > 1:
            fields.problem(
                "mixed_streams", f"{fields.key(name)} mixes streams and excluded streams (-name).", name
            )


def check_arches(fields: Fields, components: Mapping[str, RpmComponent], buildopts: Buildopts) -> None:
    """A component is built for architectures of its module only."""
    allowed = set(buildopts.arches)
    for key, component in components.items() if allowed else ():
        if unknown := [arch for arch in component.arches if arch not in allowed]:
            rpms = fields.mapping("components").mapping("rpms")
            rpms.mapping(key).problem(
                "arch_not_in_module",
                f"Component {clip(key)} is for {', '.join(unknown)[:80]}, not listed in buildopts.arches.",
                "arches",
            )


def check_order(
    fields: Fields, rpms: Mapping[str, RpmComponent], modules: Mapping[str, ModuleComponent]
) -> None:
    """``buildafter`` names components, makes no circle and does not stand beside ``buildorder``."""
    try:
        waits_for(rpms, modules)
    except BuildafterError as error:
        at = fields.mapping("components").mapping("rpms")
        for problem in error.problems:
            at.mapping(problem.component).problem(problem.code, problem.message, problem.key, problem.hint)
