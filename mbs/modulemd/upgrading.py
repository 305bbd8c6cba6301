"""Convert older and packager documents to v2 streams."""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Any

from mbs.modulemd.documents import (
    Configuration,
    Dependencies,
    Document,
    PackagerV2,
    PackagerV3,
    Stream,
    StreamV1,
    StreamV2,
)

#: License of packager v3 documents without one, by their specification.
DEFAULT_LICENSE = "MIT"
PLATFORM = "platform"


def upgrade(document: Document) -> list[StreamV2]:
    """Return the v2 streams of a document; an empty list for other kinds of documents.

    The results share nothing with ``document``. A packager v3 document results in one stream for each
    configuration, with its context as a static context (docs/contract/modulemd.md, "Reading").
    """
    document = copy.deepcopy(document)
    if isinstance(document, StreamV2):
        return [document]
    if isinstance(document, StreamV1):
        return [_from_v1(document)]
    if isinstance(document, PackagerV2):
        return [
            StreamV2(
                **document.shared(),
                static_context=document.static_context,
                dependencies=document.dependencies,
            )
        ]
    if isinstance(document, PackagerV3):
        return [_from_packager_v3(document, each) for each in document.configurations]
    return []


def _from_v1(document: StreamV1) -> StreamV2:
    result = StreamV2(**_fields_of(document))
    if document.buildrequires or document.requires:
        result.dependencies = [
            Dependencies(
                {name: [stream] for name, stream in document.buildrequires.items()},
                {name: [stream] for name, stream in document.requires.items()},
            )
        ]
    return result


def _from_packager_v3(document: PackagerV3, configuration: Configuration) -> StreamV2:
    result = StreamV2(
        **copy.deepcopy(document.shared()),
        context=configuration.context,
        static_context=True,
        buildopts=configuration.buildopts,
        dependencies=[
            Dependencies(
                _with_platform(configuration.buildrequires, configuration.platform),
                _with_platform(configuration.requires, configuration.platform),
            )
        ],
    )
    result.module_licenses = result.module_licenses or [DEFAULT_LICENSE]
    for profile in result.profiles.values():
        # In v2, modulemd-defaults documents list the default profiles.
        profile.default = False
    return result


def _with_platform(streams: dict[str, str], platform: str) -> dict[str, list[str]]:
    result = {PLATFORM: [platform], **{name: [stream] for name, stream in streams.items()}}
    result[PLATFORM] = sorted({platform, streams.get(PLATFORM, platform)})
    return result


def _fields_of(document: Stream) -> dict[str, Any]:
    return {each.name: getattr(document, each.name) for each in fields(Stream)}
