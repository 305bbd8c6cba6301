"""Describe the addresses outside of the API that programs use: the stream of all events, and logs."""

from __future__ import annotations

from typing import Any

from builds.api.openapi.operations import JSON, PLAIN, SSE
from builds.api.openapi.schemas import Schema, ref

_TEXT: Schema = {"type": "string", "maxLength": 255}
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
_EVENTS: Schema = {
    "schema": {
        "type": "object",
        "description": "A server-sent event (HTML standard, 9.2)",
        "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
    }
}
_TOO_MANY = {
    "description": "This address has too many open streams; Retry-After says when to try again.",
    "content": {JSON: {"schema": ref("Error")}},
}


def _query(name: str, shape: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": shape}


_LAST = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "Id of the last event that the client received",
    "schema": {"type": "string"},
}
_OF_COMPONENT = [
    {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "Id of the module build",
        "schema": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    },
    {
        "name": "package",
        "in": "path",
        "required": True,
        "description": "Name of the component",
        "schema": {"type": "string", "pattern": "^[^/\\u0000]{1,255}$"},
    },
    _query("name", _TEXT, "Name of the log; by default the first one"),
]
_LOG_LIST: Schema = {
    "type": "object",
    "properties": {
        **{key: {"type": "integer"} for key in ("module_build", "component_build", "size")},
        "task_id": {"type": ["integer", "null"]},
        "state": {"type": ["integer", "null"]},
        "state_name": {"type": ["string", "null"]},
        "package": {"type": "string"},
        "name": {"type": "string", "description": "The log whose size is given"},
        "complete": {"type": "boolean", "description": "Whether nothing will be appended"},
        "logs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "label": {"type": "string"}},
            },
        },
    },
}


def _get(name: str, summary: str, tag: str, parameters: list[Any], answers: dict[str, Any]) -> Schema:
    errors = {status: {"$ref": f"#/components/responses/{status}"} for status in ("400", "500", "503")}
    operation = {"operationId": name, "summary": summary, "tags": [tag], "parameters": parameters}
    return {"get": {**operation, "responses": {**answers, **errors}}}


#: Path -> its operations.
PATHS: dict[str, Schema] = {
    "/events": _get(
        "follow_all",
        "Server-sent events of all module builds",
        "module builds",
        [
            _query("owner", _TEXT, "Only builds of this owner"),
            _query("name", _TEXT, "Only builds of this module"),
            _query("stream", _TEXT, "Only builds of this stream"),
            _query("kind", {"type": "string", "enum": ["", "state", "component"]}, "Only this kind of event"),
            _LAST,
        ],
        {"200": {"description": "Events as they happen", "content": {SSE: _EVENTS}}, "429": _TOO_MANY},
    ),
    "/builds/{id}/{package}/log": _get(
        "get_log",
        "A log of a component, or as JSON the list of its logs",
        "component builds",
        [*_OF_COMPONENT, _query("from", _NUMBER, "First byte")],
        {
            "200": {
                "description": "The log, or the list of logs",
                "content": {PLAIN: {"schema": {"type": "string"}}, JSON: {"schema": _LOG_LIST}},
            },
            "206": {
                "description": "The bytes that the header Range names",
                "content": {PLAIN: {"schema": {"type": "string"}}},
            },
            "404": {"$ref": "#/components/responses/404"},
            "416": {"description": "The log has no such bytes."},
        },
    ),
    "/builds/{id}/{package}/log/events": _get(
        "follow_log",
        "Server-sent events with the new lines of a log, as HTML",
        "component builds",
        [
            *_OF_COMPONENT,
            _query("task", _NUMBER, "Number of the submission (task_id)"),
            _query("from", _NUMBER, "First byte"),
            _query("line", _NUMBER, "Number of the line that begins there"),
            _LAST,
        ],
        {
            "200": {"description": "Lines as they are written", "content": {SSE: _EVENTS}},
            "404": {"$ref": "#/components/responses/404"},
            "429": _TOO_MANY,
        },
    ),
}
