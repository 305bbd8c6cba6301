"""JSON schema of the metadata that this service imports into Koji.

Source: Koji's "Content Generator Metadata", version 0; docs/contract/koji.md, "Import".
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_NUMBER = {"type": "number", "minimum": 0}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{32}$"}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_RPM = _object(
    {
        "type": {"const": "rpm"},
        "name": _TEXT,
        "version": _TEXT,
        "release": _TEXT,
        "epoch": {"type": ["integer", "null"], "minimum": 0},
        "arch": _TEXT,
        "sigmd5": _DIGEST,
        "signature": {"type": ["string", "null"]},
    }
)
_COMMON = {
    "buildroot_id": {"const": 1},
    "filename": {"type": "string", "pattern": r"^(modulemd(\.[A-Za-z0-9_]+)?\.txt|build\.log)$"},
    "filesize": {"type": "integer", "minimum": 0},
    "checksum_type": {"const": "sha256"},
    "checksum": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "arch": _TEXT,
}
_LOG = _object({**_COMMON, "type": {"const": "log"}})
_DOCUMENT = _object(
    {
        **_COMMON,
        "type": {"const": "file"},
        "extra": _object({"typeinfo": _object({"module": {"type": "object"}})}),
        "components": {"type": "array", "items": _RPM},
    }
)
_MODULE = _object(
    {
        "module_build_service_id": {"type": "integer", "minimum": 1},
        "content_koji_tag": _TEXT,
        "modulemd_str": _TEXT,
        "name": _TEXT,
        "stream": _TEXT,
        "version": {"type": "string", "pattern": "^[0-9]+$"},
        "context": _TEXT,
    }
)
_BUILDROOT = _object(
    {
        "id": {"const": 1},
        "host": _object({"arch": _TEXT, "os": _TEXT}),
        "content_generator": _object({"name": _TEXT, "version": _TEXT}),
        "container": _object({"arch": _TEXT, "type": _TEXT}),
        "components": {"type": "array"},
        "tools": {"type": "array"},
    }
)
_BUILD = _object(
    {
        "name": _TEXT,
        "version": {"type": "string", "pattern": "^[^-]+$"},
        "release": {"type": "string", "pattern": "^[^-]+$"},
        "source": {"type": ["string", "null"]},
        "owner": _TEXT,
        "start_time": _NUMBER,
        "end_time": _NUMBER,
        "extra": _object({"typeinfo": _object({"module": _MODULE})}),
    }
)
METADATA: dict[str, Any] = _object(
    {
        "metadata_version": {"const": 0},
        "build": _BUILD,
        "buildroots": {"type": "array", "items": _BUILDROOT, "minItems": 1, "maxItems": 1},
        "output": {"type": "array", "items": {"anyOf": [_DOCUMENT, _LOG]}, "minItems": 1},
    }
)
