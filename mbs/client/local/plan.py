"""Select the streams of a local build: of the module, of base modules and of what it depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mbs.client.rest import Json
from mbs.client.submission import pair
from mbs.errors import InvalidInput
from mbs.modulemd import StreamV2

PLATFORM = "platform"


def choices(texts: Iterable[str]) -> dict[str, str]:
    """Return streams by module: ``["perl:5.30"]`` -> ``{"perl": "5.30"}``.

    Raises:
        InvalidInput: A text does not have this form.
    """
    return dict(pair(text, "NAME:STREAM") for text in texts)


def platforms(documents: Sequence[StreamV2], choices: Mapping[str, str]) -> tuple[str, ...]:
    """Return the streams of the base module that documents name, or the chosen one.

    Empty: they accept any stream, or all but some.
    """
    if PLATFORM in choices:
        return (choices[PLATFORM],)
    lists = [
        each.buildrequires[PLATFORM]
        for document in documents
        for each in document.dependencies
        if PLATFORM in each.buildrequires
    ]
    named = sorted({stream for streams in lists for stream in streams if not stream.startswith("-")})
    return tuple(named)


def overrides(documents: Sequence[StreamV2], choices: Mapping[str, str]) -> Json:
    """Return the keys of a submission that select streams of dependencies.

    Args:
        documents: The documents of the module.
        choices: Module -> stream.

    Raises:
        InvalidInput: The documents do not depend on one of these modules.
    """
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
