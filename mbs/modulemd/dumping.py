"""Write documents as YAML that this package and libmodulemd read back unchanged."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Any

import yaml
from yaml.cyaml import CSafeDumper

from mbs.modulemd.documents import (
    Buildopts,
    Content,
    Defaults,
    Document,
    ModuleComponent,
    Obsoletes,
    PackagerV2,
    PackagerV3,
    Profile,
    RpmComponent,
    Stream,
    StreamV1,
    StreamV2,
    Translations,
)

#: Plain scalars that some YAML readers do not read as text.
_SPECIAL = re.compile(
    r"[-+]?\.?[0-9][-+0-9a-fA-FoxX_.:]*|[-+]?\.(?i:inf|nan)|~|(?i:null|true|false|yes|no|on|off|y|n)"
)


class _Dumper(CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif _SPECIAL.fullmatch(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=style)


_Dumper.add_representer(str, _represent_text)


def dump(document: Document) -> str:
    """Return a document as YAML, with ``---`` and ``...``."""
    return dump_all([document])


def dump_all(documents: Iterable[Document]) -> str:
    """Return several documents as one YAML file."""
    return str(
        yaml.dump_all(
            map(as_dict, documents),
            Dumper=_Dumper,
            sort_keys=False,
            explicit_start=True,
            explicit_end=True,
            allow_unicode=True,
            width=2**31 - 1,
        )
    )


def as_dict(document: Document) -> dict[str, Any]:
    """Return a document as plain dicts, lists, texts, integers and booleans."""
    return {
        "document": document.document,
        "version": document.document_version,
        "data": _data(document),
    }


def _data(document: Document) -> dict[str, Any]:
    if isinstance(document, Translations):
        return dict(document.data)
    if isinstance(document, Defaults):
        return _defaults(document)
    if isinstance(document, Obsoletes):
        return _obsoletes(document)
    head: dict[str, Any] = {"name": document.name or None, "stream": document.stream or None}
    if isinstance(document, Stream):
        head |= {"version": document.version, "context": document.context or None}
    if isinstance(document, StreamV2 | PackagerV2):
        head["static_context"] = document.static_context
    if isinstance(document, Stream):
        head["arch"] = document.arch or None
    return (
        _given(head)
        | {"summary": document.summary, "description": document.description}
        | _given(_body(document))
    )


def _body(document: Content) -> dict[str, Any]:
    body: dict[str, Any] = {"license": {"module": document.module_licenses}}
    if isinstance(document, PackagerV3):
        body = {"license": document.module_licenses}
    if isinstance(document, Stream):
        body["servicelevels"] = {
            name: _given({"eol": end and end.isoformat()}) for name, end in document.servicelevels.items()
        }
        body["license"] |= _given({"content": document.content_licenses})
    body |= {"xmd": document.xmd or None, "dependencies": _dependencies(document)}
    if isinstance(document, PackagerV3):
        body["configurations"] = [
            _given(
                {
                    "context": each.context,
                    "platform": each.platform,
                    "buildrequires": {name: [stream] for name, stream in each.buildrequires.items()},
                    "requires": {name: [stream] for name, stream in each.requires.items()},
                    "buildopts": _buildopts(each.buildopts),
                }
            )
            for each in document.configurations
        ]
    body |= {
        "references": _given(
            {
                "community": document.community,
                "documentation": document.documentation,
                "tracker": document.tracker,
            }
        ),
        "profiles": {name: _profile(profile) for name, profile in document.profiles.items()},
        "api": _given({"rpms": document.api_rpms}),
        "filter": _given({"rpms": document.filter_rpms}),
        "demodularized": _given({"rpms": document.demodularized_rpms}),
        "buildopts": _buildopts(document.buildopts) if isinstance(document, Stream) else {},
        "components": _given(
            {
                "rpms": {key: _rpm(key, each) for key, each in document.rpm_components.items()},
                "modules": {key: _module(each) for key, each in document.module_components.items()},
            }
        ),
    }
    if isinstance(document, Stream):
        body["artifacts"] = _given({"rpms": document.artifact_rpms, "rpm-map": _rpm_map(document)})
    return body


def _dependencies(document: Content) -> Any:
    if isinstance(document, StreamV1):
        return _given({"buildrequires": document.buildrequires, "requires": document.requires})
    if isinstance(document, StreamV2 | PackagerV2):
        return [
            _given({"buildrequires": each.buildrequires, "requires": each.requires})
            for each in document.dependencies
        ]
    return None


def _rpm_map(document: Stream) -> dict[str, Any]:
    if not isinstance(document, StreamV2):
        return {}
    return {
        digest: {checksum: vars(entry) | {"nevra": entry.nevra} for checksum, entry in entries.items()}
        for digest, entries in document.rpm_map.items()
    }


def _buildopts(options: Buildopts) -> dict[str, Any]:
    rpms = _given({"macros": options.rpm_macros, "whitelist": options.rpm_whitelist})
    return _given({"rpms": rpms, "arches": options.arches})


def _profile(profile: Profile) -> dict[str, Any]:
    return _given({"description": profile.description, "rpms": profile.rpms, "default": profile.default})


def _rpm(key: str, component: RpmComponent) -> dict[str, Any]:
    return _given(
        {
            "name": component.name if component.name != key else None,
            "rationale": component.rationale,
            "repository": component.repository,
            "cache": component.cache,
            "ref": component.ref,
            "buildroot": component.buildroot,
            "srpm-buildroot": component.srpm_buildroot,
            "buildonly": component.buildonly,
            "buildorder": component.buildorder,
            "buildafter": component.buildafter,
            "arches": component.arches,
            "multilib": component.multilib,
        }
    )


def _module(component: ModuleComponent) -> dict[str, Any]:
    return _given(
        {
            "rationale": component.rationale,
            "repository": component.repository,
            "ref": component.ref,
            "buildonly": component.buildonly,
            "buildorder": component.buildorder,
        }
    )


def _defaults(document: Defaults) -> dict[str, Any]:
    return {"module": document.module} | _given(
        {
            "modified": document.modified,
            "stream": document.stream,
            "profiles": document.profiles,
            "intents": {
                name: _given({"stream": each.stream}) | {"profiles": each.profiles}
                for name, each in document.intents.items()
            },
        }
    )


def _obsoletes(document: Obsoletes) -> dict[str, Any]:
    return _given(
        {
            "modified": _time(document.modified),
            "reset": document.reset,
            "module": document.module,
            "stream": document.stream,
            "context": document.context,
            "eol_date": document.eol_date and _time(document.eol_date),
            "message": document.message,
            "obsoleted_by": _given(
                {"module": document.obsoleted_by_module, "stream": document.obsoleted_by_stream}
            ),
        }
    )


def _time(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out values that mean the same as a missing key."""
    return {key: value for key, value in values.items() if value not in (None, [], {}, False, 0)}
