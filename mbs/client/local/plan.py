"""Turn a modulemd file and the user's options into a submission."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mbs.client.rest import Json
from mbs.client.submission import pair
from mbs.errors import InvalidInput
from mbs.modulemd import StreamV2, dump
from mbs.modulemd.parsing import parse_streams

PLATFORM = "platform"
OS_RELEASE = Path("/etc/os-release")
#: With ``--skiptests``, rpm runs this before every %check section.
SKIP_CHECKS = "%__spec_check_pre exit 0"


@dataclass(frozen=True)
class LocalBuildRequest:
    """The request for a local build.

    Attributes:
        stream: Stream of the module, for a file that names none.
        add: Earlier local builds to make available, as ``name:stream[:version]``.
        streams: Module name -> stream to build against, if there are several.
        platform: Stream of the base module, or ``platform:STREAM``.
    """

    file: Path
    stream: str = ""
    add: Sequence[str] = ()
    streams: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    skip_tests: bool = False


@dataclass(frozen=True)
class Plan:
    """The submission, and the base modules that it needs.

    Attributes:
        body: The request body of the submission.
        platforms: Streams of the base module that the module can be built against.
    """

    name: str
    stream: str
    body: Json
    platforms: tuple[str, ...]


def make_plan(wish: LocalBuildRequest, *, host: str) -> Plan:
    """Read the file and resolve the options.

    Args:
        host: Stream of the base module that represents this machine.

    Raises:
        InvalidInput: The file cannot be read, or the options do not match it.
        ModulemdError: The file is not a valid module.
    """
    text, name = _read(wish.file), wish.file.stem
    documents = parse_streams(text, strict=False, name=name, stream=wish.stream)
    choices = dict(wish.streams)
    if wish.platform:
        choices[PLATFORM] = wish.platform.rpartition(":")[2]
    platforms = _platforms(documents, choices, host)
    # Keys of the submission override those of the document.
    name, stream = documents[0].name or name, wish.stream or documents[0].stream or ""
    body: Json = {
        "modulemd": _without_checks(documents) if wish.skip_tests else text,
        "module_name": name,
        **({"module_stream": wish.stream} if wish.stream else {}),
        **_overrides(documents, choices),
    }
    return Plan(name, stream, body, platforms)


def choices(texts: Iterable[str]) -> dict[str, str]:
    """Return streams by module: ``["perl:5.30"]`` -> ``{"perl": "5.30"}``.

    Raises:
        InvalidInput: A text does not have this form.
    """
    return dict(pair(text, "NAME:STREAM") for text in texts)


def host_platform(os_release: Path = OS_RELEASE) -> str:
    """Return the stream of the base module for this machine: ``f40``, or a name such as ``debian12``.

    It is read from os-release(5), preferably from ``PLATFORM_ID``.
    """
    lines = os_release.read_text().splitlines() if os_release.is_file() else []
    facts = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    known = {key: value.strip().strip("\"'") for key, value in facts.items()}
    platform = known.get("PLATFORM_ID", "").rpartition(":")[2]
    return platform or f"{known.get('ID', 'linux')}{known.get('VERSION_ID', '').replace('.', '')}"


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}.", code="bad_source") from error


def _platforms(documents: Sequence[StreamV2], choices: Mapping[str, str], host: str) -> tuple[str, ...]:
    if PLATFORM in choices:
        return (choices[PLATFORM],)
    lists = [
        each.buildrequires[PLATFORM]
        for document in documents
        for each in document.dependencies
        if PLATFORM in each.buildrequires
    ]
    named = sorted({stream for streams in lists for stream in streams if not stream.startswith("-")})
    if len(named) > 1 and len(documents) == 1:
        raise InvalidInput(
            f"The module can be built for {', '.join(f'{PLATFORM}:{stream}' for stream in named)}.",
            code="several_platforms",
            hint=f"Choose one: -s {PLATFORM}:{named[0]}",
        )
    return tuple(named) or (host,)


def _overrides(documents: Sequence[StreamV2], choices: Mapping[str, str]) -> Json:
    """Return the keys of a submission that select streams of dependencies."""
    found: Json = {}
    for key, attribute in (("buildrequire_overrides", "buildrequires"), ("require_overrides", "requires")):
        names = {
            name
            for document in documents
            for each in document.dependencies
            for name in getattr(each, attribute)
        }
        chosen = {name: [stream] for name, stream in choices.items() if name in names}
        if chosen:
            found[key] = chosen
    known = {name for chosen in found.values() for name in chosen} | {PLATFORM}
    if unknown := sorted(choices.keys() - known):
        raise InvalidInput(
            f"The module does not depend on {unknown[0]}, so its stream cannot be chosen.",
            code="unknown_dependency",
            hint="Leave the option out.",
        )
    return found


def _without_checks(documents: Sequence[StreamV2]) -> str:
    if len(documents) > 1:
        raise InvalidInput(
            "Checks cannot be skipped in a file with several configurations.",
            code="several_streams",
            hint="Leave out --skiptests, or split the file.",
        )
    document = documents[0]
    macros = "\n".join(filter(None, (document.buildopts.rpm_macros, SKIP_CHECKS)))
    return dump(replace(document, buildopts=replace(document.buildopts, rpm_macros=f"{macros}\n")))
