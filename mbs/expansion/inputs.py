"""Read the dependency lists of the author's documents, with static contexts and overrides applied.

The rules are in docs/contract/modulemd.md, "Stream expansion", rule 1, and "Names and hashes" (static
contexts).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mbs.errors import InvalidInput, Unprocessable
from mbs.expansion.report import Trace
from mbs.expansion.settings import Request, Settings
from mbs.modulemd.documents import Dependencies, StreamV2

#: Max modules that one dependency list may buildrequire; real lists have fewer than ten.
MAX_BUILDREQUIRES = 100
#: The pattern of contexts of v2 streams.
_CONTEXT = re.compile(r"[0-9a-zA-Z_]{1,13}")


@dataclass
class Wanted:
    """One dependency list of one document.

    Attributes:
        document: The document that is to be built, before expansion changes it.
        static: Whether the author chose the context.
        index: Number of the list in the document, from 0.
        written: The list after overrides.
        streams: Buildrequired module name -> streams. ``Gathering.resolve`` replaces open lists and virtual
            streams.
        virtual: Modules of which a virtual stream was replaced.
    """

    document: StreamV2
    static: bool
    index: int
    written: Dependencies
    streams: dict[str, Sequence[str]]
    virtual: set[str] = field(default_factory=set)

    @property
    def where(self) -> dict[str, Any]:
        """The fields of a trace step that identify this list."""
        return {"context": self.document.context if self.static else "", "dependencies": self.index}


def wanted_lists(
    documents: Sequence[StreamV2], settings: Settings, request: Request, trace: Trace
) -> list[Wanted]:
    """Return all dependency lists of the documents, with overrides applied.

    Raises:
        InvalidInput: An override names a module that the document does not list.
        Unprocessable: ``xmd.mbs_options.contexts`` is malformed, or a list is too long.
    """
    variants = [variant for document in documents for variant in _variants(document)]
    _check_lengths(variants)
    buildrequires = _overrides(request.buildrequire_overrides)
    requires = _overrides(request.require_overrides)
    for kind, overrides in (("buildrequires", buildrequires), ("requires", requires)):
        _check_overrides(kind, overrides, variants)
        for name, streams in overrides.items():
            trace.add(
                "override",
                f"The request sets the {kind} of {name} to {show(streams)}.",
                module=name,
            )
    branch = {} if settings.branch_module in buildrequires else _branch_override(settings, request)
    for name, streams in branch.items():
        trace.add(
            "branch_override",
            f"The branch {request.branch} sets the buildrequires of {name} to {show(streams)}.",
            module=name,
        )
    return [
        Wanted(document, static, index, written, dict(written.buildrequires))
        for document, static in variants
        for index, each in enumerate(document.dependencies)
        for written in [
            Dependencies(
                _replaced(each.buildrequires, branch | buildrequires), _replaced(each.requires, requires)
            )
        ]
    ]


def _check_lengths(variants: Sequence[tuple[StreamV2, bool]]) -> None:
    for document, _ in variants:
        for each in document.dependencies:
            if len(each.buildrequires) > MAX_BUILDREQUIRES:
                raise Unprocessable(
                    f"A dependency list buildrequires {len(each.buildrequires)} modules.",
                    code="too_many_buildrequires",
                    hint=f"At most {MAX_BUILDREQUIRES} are allowed.",
                )


def _overrides(given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(streams) for name, streams in given.items()}


def _replaced(streams: Mapping[str, list[str]], overrides: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {name: list(overrides.get(name, streams[name])) for name in sorted(streams)}


def _check_overrides(
    kind: str, overrides: Mapping[str, list[str]], variants: Sequence[tuple[StreamV2, bool]]
) -> None:
    known = {
        name for document, _ in variants for each in document.dependencies for name in getattr(each, kind)
    }
    unknown = sorted(set(overrides) - known)
    if unknown:
        raise InvalidInput(
            f"The overrides of {kind} name modules that the document does not list: {', '.join(unknown)}.",
            code="unknown_override",
            hint=f"It lists {', '.join(sorted(known))}." if known else f"It has no {kind}.",
        )


def _branch_override(settings: Settings, request: Request) -> dict[str, list[str]]:
    """Return the stream that the branch's name sets for the configured module, or an empty mapping.

    The first expression that matches decides, even if its groups are empty.
    """
    if not request.branch or not settings.branch_module:
        return {}
    for regex in settings.branch_regexes:
        found = re.search(regex, request.branch)
        if found:
            stream = "".join(group for group in found.groups() if group)
            return {settings.branch_module: [stream]} if stream else {}
    return {}


def _variants(document: StreamV2) -> list[tuple[StreamV2, bool]]:
    """Return the documents that result from static contexts, each with whether its context is static.

    ``xmd.mbs_options.contexts`` is the older form of static contexts: context -> ``{"buildrequires": {name:
    stream}, "requires": {name: stream}}``.
    """
    if document.context and (document.static_context or "static_context" in document.mbs):
        return [(document, True)]
    options = document.xmd.get("mbs_options") if isinstance(document.xmd, dict) else None
    if not isinstance(options, dict) or "contexts" not in options:
        return [(replace(document, context=""), False)]
    contexts = options["contexts"]
    if not isinstance(contexts, dict) or not contexts:
        raise _malformed("it must map contexts to their buildrequires and requires")
    rest = {key: value for key, value in options.items() if key != "contexts"}
    xmd = {key: value for key, value in document.xmd.items() if key != "mbs_options"}
    xmd |= {"mbs_options": rest} if rest else {}
    return [
        (replace(document, context=context, dependencies=[_fixed(context, lists)], xmd=xmd), True)
        for context, lists in contexts.items()
    ]


def _fixed(context: str, lists: object) -> Dependencies:
    if not _CONTEXT.fullmatch(context):
        raise _malformed(f"{context!r} is not a context; use 1 to 13 of 0-9, a-z, A-Z and _")
    if not isinstance(lists, dict) or not {"buildrequires", "requires"} <= lists.keys():
        raise _malformed(f"{context} needs buildrequires and requires")
    return Dependencies(
        *(_one_stream_each(context, kind, lists[kind]) for kind in ("buildrequires", "requires"))
    )


def _one_stream_each(context: str, kind: str, streams: object) -> dict[str, list[str]]:
    if not isinstance(streams, dict):
        raise _malformed(f"{context}.{kind} must map module names to streams")
    for name, stream in streams.items():
        if not isinstance(stream, str) or not stream or stream.startswith("-"):
            raise _malformed(f"{context}.{kind}.{name} must name one stream")
    return {name: [stream] for name, stream in streams.items()}


def _malformed(what: str) -> Unprocessable:
    return Unprocessable(
        f"data.xmd.mbs_options.contexts: {what}.",
        code="invalid_static_contexts",
        hint="Preferably write static contexts as a modulemd-packager v3 document.",
    )


def show(streams: Sequence[str]) -> str:
    """Return a list of streams as YAML writes it: ``[f29, f30]``."""
    return f"[{', '.join(streams)}]"
