"""Describe the addresses outside of the API that programs use: the stream of all events, and logs."""

from __future__ import annotations

from builds.api.openapi.operations import ID, PLAIN, SSE, Operation, Schema
from builds.shapes import ServerSentEvent
from builds.shapes.lists import LogList

_STRING: Schema = {"type": "string"}
_TEXT: Schema = {"type": "string", "maxLength": 255}
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}


def _query(name: str, shape: Schema, text: str, place: str = "query") -> Schema:
    return {"name": name, "in": place, "description": text, "schema": shape, "required": place == "path"}


_LAST = _query("Last-Event-ID", _STRING, "Id of the last event that the client received", "header")
_FILTERS = [
    _query("owner", _TEXT, "Only builds of this owner"),
    _query("name", _TEXT, "Only builds of this module"),
    _query("stream", _TEXT, "Only builds of this stream"),
    _query("kind", {**_STRING, "enum": ["", "state", "component"]}, "Only this kind of event"),
]
_COMPONENT = [
    {**ID, "description": "Id of the module build"},
    _query("package", {**_STRING, "pattern": "^[^/\\u0000]{1,255}$"}, "Name of the component", "path"),
    _query("name", _TEXT, "Name of the log; by default the first one"),
    _query("from", _NUMBER, "First byte"),
]
_PLACE = [
    _query("task", _NUMBER, "Number of the submission (task_id)"),
    _query("line", _NUMBER, "Number of the line that begins there"),
]
_LOG = "/builds/{id}/{package}/log"
#: Path -> tag, operation, description and parameters.
_PAGES = {
    "/events": (
        "module builds",
        Operation("follow_all", ServerSentEvent, (429,), media_type=SSE),
        "Stream the events of all module builds.",
        [*_FILTERS, _LAST],
    ),
    _LOG: (
        "component builds",
        Operation("get_log", LogList, (404, 429), empty={416: "The log has no such bytes."}),
        "Return a log of a component, or as JSON the list of its logs.",
        _COMPONENT,
    ),
    f"{_LOG}/events": (
        "component builds",
        Operation("follow_log", ServerSentEvent, (404, 429), media_type=SSE),
        "Stream the new lines of a log, as HTML.",
        [*_COMPONENT, *_PLACE, _LAST],
    ),
}


def paths() -> dict[str, Schema]:
    """Return the operations by path."""
    found: dict[str, Schema] = {
        path: {"get": {**operation.describe(path, "GET", text), "tags": [tag], "parameters": known}}
        for path, (tag, operation, text, known) in _PAGES.items()
    }
    answers, text = found[_LOG]["get"]["responses"], {PLAIN: {"schema": _STRING}}
    answers["200"]["content"] |= text
    answers["206"] = {"description": "The bytes that the header Range names", "content": text}
    return found
