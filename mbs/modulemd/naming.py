"""Check the names in documents that are submitted or imported (see ``mbs.names``).

libmodulemd accepts any text as a name. A document that is only read may have such names. In a document that
is built or recorded, names become parts of tags, releases, folders and macros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from mbs import names
from mbs.errors import Problem
from mbs.modulemd.documents import Dependencies, StreamV2
from mbs.modulemd.errors import MAX_PROBLEMS, ModulemdError
from mbs.modulemd.nodes import printable
from mbs.modulemd.notes import note_faults, option_faults
from mbs.names import Rule

#: Max streams in one dependency. Real dependencies list a few, and each multiplies the combinations.
MAX_STREAMS = 200
#: Codes of problems by kind of name; for other kinds ``invalid_name``.
_CODES = {
    "stream": "invalid_stream",
    "context": "invalid_context",
    "architecture": "invalid_arch",
    "ref": "ref_invalid",
}


def check_names(documents: Iterable[StreamV2]) -> None:
    """Check all names of the documents.

    Raises:
        ModulemdError: Names are invalid; there is a problem for each, up to a limit.
    """
    faults = (problem for document in documents for problem in name_problems(document))
    if found := list(islice(faults, MAX_PROBLEMS)):
        raise ModulemdError.of(list(dict.fromkeys(found)))


def name_problems(document: StreamV2) -> Iterator[Problem]:
    """Yield a problem for each invalid name in a document. Missing parts are not problems."""
    for key, rule in _OWN.items():
        if text := getattr(document, key):
            yield from _one(rule, text, f"data.{key}")
    for dependencies in document.dependencies:
        yield from _dependencies(dependencies)
    for name, profile in document.profiles.items():
        yield from _one(names.NAME, name, "data.profiles")
        yield from _each(names.NAME, profile.rpms, f"data.profiles.{printable(name)}.rpms")
    for key, rule, texts in (
        ("api.rpms", names.NAME, document.api_rpms),
        ("filter.rpms", names.NAME, document.filter_rpms),
        ("demodularized.rpms", names.NAME, document.demodularized_rpms),
        ("buildopts.rpms.whitelist", names.NAME, document.buildopts.rpm_whitelist),
        ("buildopts.arches", names.ARCH, document.buildopts.arches),
        ("artifacts.rpms", names.RPM, document.artifact_rpms),
    ):
        yield from _each(rule, texts, f"data.{key}")
    yield from _components(document)
    yield from option_faults(document.xmd)
    yield from note_faults(document.xmd)


_OWN: Mapping[str, Rule] = {
    "name": names.NAME,
    "stream": names.STREAM,
    "context": names.CONTEXT,
    "arch": names.ARCH,
}


def _dependencies(dependencies: Dependencies) -> Iterator[Problem]:
    for kind in ("buildrequires", "requires"):
        streams_of: Mapping[str, Sequence[str]] = getattr(dependencies, kind)
        for name, streams in streams_of.items():
            key = f"data.dependencies.{kind}.{printable(name)}"
            yield from _one(names.NAME, name, key)
            yield from _each(names.STREAM, (stream.removeprefix("-") for stream in streams), key)
            if len(streams) > MAX_STREAMS:
                yield Problem(
                    "too_many_streams",
                    f"{key} lists {len(streams)} streams.",
                    key=key,
                    hint=f"At most {MAX_STREAMS} are allowed; an empty list means all.",
                )


def _components(document: StreamV2) -> Iterator[Problem]:
    for key, rpm in document.rpm_components.items():
        where = f"data.components.rpms.{printable(key)}"
        yield from _one(names.NAME, key, where, key)
        yield from _one(names.NAME, rpm.name, f"{where}.name", key)
        yield from _one(names.REF, rpm.ref, f"{where}.ref", key) if rpm.ref else ()
        yield from _each(names.ARCH, rpm.arches, f"{where}.arches", key)
        yield from _each(names.ARCH, rpm.multilib, f"{where}.multilib", key)
    for key, module in document.module_components.items():
        where = f"data.components.modules.{printable(key)}"
        yield from _one(names.NAME, key, where, key)
        yield from _one(names.REF, module.ref, f"{where}.ref", key) if module.ref else ()


def _each(rule: Rule, texts: Iterable[str], key: str, component: str = "") -> Iterator[Problem]:
    for text in texts:
        yield from _one(rule, text, key, component)


def _one(rule: Rule, text: str, key: str, component: str = "") -> Iterator[Problem]:
    if fault := rule.fault(text):
        code = _CODES.get(rule.noun, "invalid_name")
        yield Problem(code, f"{key}: {fault}", component=printable(component), key=key, hint=rule.hint)
