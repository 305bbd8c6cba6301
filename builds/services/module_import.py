"""Import modules that were built elsewhere, such as base modules. They are recorded as ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from builds.models import BuildRequirement, ModuleBuild, VirtualStream
from builds.models.locking import RECORDING, hold, locked
from builds.services import audit, log_messages, transitions
from mbs import modulemd
from mbs.contexts import contexts, stream_version
from mbs.errors import Unprocessable
from mbs.expansion.memory import DEFAULT_CONTEXT
from mbs.modulemd import StreamV2, check_names
from mbs.modulemd.parsing import parse_streams
from mbs.nsvc import NSVC
from mbs.states import BuildState

OWNER = "mbs_import"


def import_module(
    text: str, *, scmurl: str = "", commit: str = "", who: str = OWNER
) -> tuple[ModuleBuild, list[str]]:
    """Record a module as ready, or update the recorded module of the same N:S:V:C.

    Args:
        text: Its modulemd document, with a name, a stream and a version.
        scmurl: Address that the document comes from, if known.
        commit: Commit that the document comes from, if known.
        who: Name of the user who imports it.

    Returns:
        The module, and messages for people about what was done.

    Raises:
        Unprocessable: The document is invalid, has a name or ``xmd`` that submissions may not have, or
            requires a base module that is not recorded.
    """
    streams = parse_streams(text, strict=False)
    if len(streams) > 1:
        raise Unprocessable(
            "The document describes several streams.",
            code="several_streams",
            hint="Import the document of one stream.",
        )
    document = streams[0]
    document.context = document.context or DEFAULT_CONTEXT
    _check(document)
    recorded = _recorded_buildrequires(document)
    messages: list[str] = []
    required = _find_buildrequires(recorded, messages)
    notes = _xmd_mbs(document, recorded, required, commit)
    document = replace(document, xmd={**_mapping(document.xmd), "mbs": notes})
    if not notes.get("koji_tag"):
        messages.append("Its document sets no koji_tag in data.xmd.mbs: it adds no packages to buildroots.")
    with transaction.atomic():
        # The same module may be imported or submitted at this moment.
        hold(RECORDING)
        build = _record(document, notes, scmurl, commit, messages)
        build.virtual_streams.set(_virtual_streams(notes))
        build.requirement_links.all().delete()
        BuildRequirement.objects.bulk_create(
            [BuildRequirement(module_build=build, required=each) for each in required.values()]
        )
        log_messages.add((build, text) for text in messages)
        audit.record(audit.IMPORTED, who, build, detail=scmurl)
    return build, messages


def _check(document: StreamV2) -> None:
    missing = [key for key in ("name", "stream", "version") if not getattr(document, key)]
    if missing:
        raise Unprocessable(
            f"The document does not set the module's {', '.join(missing)}.",
            code="incomplete_nsvc",
            hint="An imported module needs data.name, data.stream and data.version.",
        )
    check_names([document])
    marking = document.mbs.get("disttag_marking", "")
    if document.name in settings.MBS.BASE_MODULE_NAMES and not marking and "-" in document.stream:
        raise Unprocessable(
            f"The stream of a base module becomes part of the release of RPMs, and {document.stream[:80]!r} "
            "contains a dash.",
            code="dash_in_base_stream",
            hint="Set data.xmd.mbs.disttag_marking to a text without a dash, which is used instead.",
        )
    if len(document.dependencies) > 1:
        raise Unprocessable(
            f"A built module has one dependency list; the document has {len(document.dependencies)}.",
            code="several_dependencies",
            hint="Import the document of the finished build, not the one that was submitted.",
        )


def _recorded_buildrequires(document: StreamV2) -> dict[str, dict[str, Any]]:
    """Return ``xmd.mbs.buildrequires``: name -> stream, version, context and more of required modules."""
    notes: dict[str, dict[str, Any]] = document.mbs.get("buildrequires", {})
    written = {name for each in document.dependencies for name in each.buildrequires}
    if missing := sorted(written - notes.keys()):
        raise Unprocessable(
            f"data.xmd.mbs.buildrequires does not name the build of {', '.join(missing)} that the module was "
            "built against.",
            code="missing_buildrequires",
            hint="Import the document of the finished build, in which the building service has set this.",
        )
    return notes


def _find_buildrequires(
    recorded: Mapping[str, Mapping[str, Any]], messages: list[str]
) -> dict[str, ModuleBuild]:
    """Return the recorded builds among the required ones, and add messages about the others.

    Raises:
        Unprocessable: The base module is not recorded. Without it no submission would find the module.
    """
    found = {}
    for name, info in recorded.items():
        key = {part: str(info[part]) for part in ("stream", "version", "context") if part in info}
        states = (BuildState.READY, BuildState.GARBAGE)
        rows = ModuleBuild.objects.filter(name=name, state__in=states, scratch=False, **key)
        build = max(rows.defer("modulemd"), key=lambda row: int(row.version), default=None)
        if build is not None:
            found[name] = build
            continue
        nsvc = str(NSVC.of({"name": name, **key})).rstrip(":")
        if name in settings.MBS.BASE_MODULE_NAMES:
            raise Unprocessable(
                f"The module was built against {nsvc}, which is not known to this service.",
                code="unknown_buildrequire",
                hint=f"Import {name} first.",
            )
        messages.append(f"It was built against {nsvc}, which is not known to this service.")
    return found


def _xmd_mbs(
    document: StreamV2,
    recorded: Mapping[str, Mapping[str, Any]],
    required: Mapping[str, ModuleBuild],
    commit: str,
) -> dict[str, Any]:
    """Return ``xmd.mbs`` with everything that later builds read."""
    buildrequires: dict[str, dict[str, Any]] = {}
    for name, info in recorded.items():
        build = required.get(name)
        known = (
            {
                "ref": build.commit,
                "stream": build.stream,
                "version": build.version,
                "context": build.context,
                "koji_tag": build.koji_tag or "",
            }
            if build
            else {}
        )
        buildrequires[name] = {**known, **info}
    return {"mse": "true", "commit": commit, **document.mbs, "buildrequires": buildrequires}


def _record(
    document: StreamV2, notes: Mapping[str, Any], scmurl: str, commit: str, messages: list[str]
) -> ModuleBuild:
    requires = [each.requires for each in document.dependencies]
    options = settings.MBS
    hashes = contexts(notes["buildrequires"], requires, options.BASE_MODULE_NAMES)
    now = timezone.now()
    key = {
        "name": document.name,
        "stream": document.stream,
        "version": str(document.version),
        "context": document.context,
    }
    fields = {
        "modulemd": modulemd.dump(document),
        "state": BuildState.READY,
        "state_reason": None,
        "error_code": "",
        "error_hint": "",
        "owner": OWNER,
        "scmurl": scmurl or None,
        "commit": notes.get("commit") or commit,
        "koji_tag": notes.get("koji_tag") or None,
        "rebuild_strategy": "all",
        "buildrequires": notes["buildrequires"],
        "requires": requires,
        "disttag_marking": notes.get("disttag_marking", ""),
        "build_context": hashes.build_context,
        "build_context_no_bms": hashes.build_context_no_bms,
        "runtime_context": hashes.runtime_context,
        "stream_version": _stream_version(document),
        "time_modified": now,
        "time_completed": now,
    }
    build = locked(ModuleBuild.objects.filter(**key)).first()
    if build is None:
        build = ModuleBuild.objects.create(**key, **fields)
        messages.append(f"Module {build.nsvc} imported.")
    else:
        messages.append(f"Module {build.nsvc} is known and {build.state_name}: it is updated.")
        for name, value in fields.items():
            setattr(build, name, value)
        build.save(update_fields=list(fields))
        messages.append(f"Module {build.nsvc} imported again.")
    transitions.announce(build, [(BuildState.READY, None)])
    return build


def _stream_version(document: StreamV2) -> float | None:
    if document.name not in settings.MBS.BASE_MODULE_NAMES:
        return None
    return stream_version(document.stream, suffixes=settings.MBS.STREAM_SUFFIXES) or 0.0


def _virtual_streams(notes: Mapping[str, Any]) -> list[VirtualStream]:
    names = set(notes.get("virtual_streams") or ())
    VirtualStream.objects.bulk_create([VirtualStream(name=name) for name in names], ignore_conflicts=True)
    return list(VirtualStream.objects.filter(name__in=names))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
