"""Check rules that concern several keys of a stream document.

Source: the modulemd specifications, and libmodulemd 2.14 where they are ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mbs.batches import BuildafterError, buildafter_graph
from mbs.modulemd.documents import Buildopts, ModuleComponent, RpmComponent
from mbs.modulemd.fields import Fields
from mbs.modulemd.nodes import clip

_STATIC_CONTEXT = re.compile(r"[0-9A-Za-z_]{1,13}")
_PACKAGER_CONTEXT = re.compile(r"[0-9A-Za-z]{1,10}")


def is_nevra(text: str) -> bool:
    """Return whether a text has the form ``name-epoch:version-release.arch`` by libmodulemd's criteria."""
    rest, dot, _arch = text.rpartition(".")
    rest, dash, _release = rest.rpartition("-")
    rest, colon, version = rest.rpartition(":")
    _name, second_dash, epoch = rest.rpartition("-")
    complete = dot and dash and colon and second_dash
    return bool(complete) and "-" not in version and epoch[:1] in set("0123456789")


def check_static_context(fields: Fields, static: bool) -> None:
    """Check that a static context consists of 1 to 13 characters of ``[0-9A-Za-z_]``."""
    context = fields.text("context")
    if static and context is not None and not _STATIC_CONTEXT.fullmatch(context):
        fields.problem(
            "invalid_context",
            f"The static context {clip(context)} must be 1 to 13 of the characters 0-9, A-Z, a-z and _.",
            "context",
        )


def check_packager_context(fields: Fields, context: str | None) -> None:
    """Check that the context of a packager v3 configuration consists of 1 to 10 of ``[0-9A-Za-z]``."""
    if context is None:
        fields.problem("missing_key", f"{fields.path} has no context.", "context")
    elif not _PACKAGER_CONTEXT.fullmatch(context):
        fields.problem(
            "invalid_context",
            f"The context {clip(context)} must be 1 to 10 of the characters 0-9, A-Z and a-z.",
            "context",
        )


def check_signs(fields: Fields, requirements: Mapping[str, Iterable[str]]) -> None:
    """Check that no list mixes wanted and excluded streams of a module."""
    for name, streams in requirements.items():
        if len({stream.startswith("-") for stream in streams}) > 1:
            fields.problem(
                "mixed_streams", f"{fields.key(name)} mixes streams and excluded streams (-name).", name
            )


def check_arches(fields: Fields, components: Mapping[str, RpmComponent], buildopts: Buildopts) -> None:
    """Check that components list only architectures of their module."""
    allowed = set(buildopts.arches)
    for key, component in components.items() if allowed else ():
        if unknown := [arch for arch in component.arches if arch not in allowed]:
            rpms = fields.mapping("components").mapping("rpms")
            rpms.mapping(key).problem(
                "arch_not_in_module",
                f"Component {clip(key)} lists {', '.join(unknown)[:80]}, which buildopts.arches does not.",
                "arches",
            )


def check_order(
    fields: Fields, rpms: Mapping[str, RpmComponent], modules: Mapping[str, ModuleComponent]
) -> None:
    """Check that ``buildafter`` names components, has no cycle, and is not used beside ``buildorder``."""
    try:
        buildafter_graph(rpms, modules)
    except BuildafterError as error:
        at = fields.mapping("components").mapping("rpms")
        for problem in error.problems:
            at.mapping(problem.component).problem(problem.code, problem.message, problem.key, problem.hint)
