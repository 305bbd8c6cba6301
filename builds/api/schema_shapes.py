"""What answers and bodies look like, as JSON Schema (OpenAPI 3.1 uses it as it is).

Objects name all their keys, and all of them are always there. Later versions may add keys, so clients must
ignore those that they do not know.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as drf

from builds.api import serializers
from mbs.states import BUILD_STATES, COMPONENT_STATES

Shape = dict[str, Any]

TEXT: Shape = {"type": "string"}
NUMBER: Shape = {"type": "integer"}
FLAG: Shape = {"type": "boolean"}
ID: Shape = {"type": "integer", "minimum": 1}
URL: Shape = {"type": "string", "format": "uri"}
TIME: Shape = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", "description": "In UTC"}
STATE: Shape = {"enum": [*BUILD_STATES.values()]}
STATE_NAME: Shape = {"enum": [*BUILD_STATES]}
COMPONENT_STATE: Shape = {"enum": [*COMPONENT_STATES.values(), None]}
COMPONENT_STATE_NAME: Shape = {"enum": [*COMPONENT_STATES, None]}


def ref(name: str) -> Shape:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def optional(shape: Shape) -> Shape:
    """Or null."""
    return {"anyOf": [shape, {"type": "null"}]}


def array(items: Shape) -> Shape:
    return {"type": "array", "items": items}


def mapping(values: Shape) -> Shape:
    """An object with any keys."""
    return {"type": "object", "additionalProperties": values}


def record(**properties: Shape) -> Shape:
    """Return the shape of an object that has these keys, and may get more in later versions."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def extended(shape: Shape, **properties: Shape) -> Shape:
    """The same object with more keys."""
    return record(**shape["properties"], **properties)


def with_options(shape: Shape, **properties: Shape) -> Shape:
    """The same object with keys that may be absent."""
    return {**shape, "properties": {**shape["properties"], **properties}}


def page_of(items: Shape, key: str = "items") -> Shape:
    """One page of a list."""
    return record(**{key: array(items), "meta": ref("Meta")})


EXCERPT = record(
    log=TEXT | {"description": "Name of the log"},
    line=optional(NUMBER) | {"description": "The line that explains; null where it is not known"},
    first_line=optional(NUMBER) | {"description": "Number of the first of lines"},
    cause=TEXT | {"description": "The line that explains the failure"},
    lines=array(TEXT) | {"description": "It, and those around it"},
    url=TEXT | {"description": "Path of the page that shows the line: put the host before it"},
)
_STREAM_VERSION = optional({"type": "number"})
_NAMED = record(
    id=ID,
    state=STATE,
    state_name=STATE_NAME,
    stream=TEXT,
    version=TEXT,
    name=TEXT,
    context=TEXT,
)
MODULE_SHORT = extended(_NAMED, scratch=FLAG)
_TASK = record(
    task_id=optional(NUMBER), state=COMPONENT_STATE, state_reason=optional(TEXT), nvr=optional(TEXT)
)
MODULE = extended(
    MODULE_SHORT,
    batch=NUMBER,
    component_builds=array(ID),
    koji_tag=optional(TEXT),
    owner=TEXT,
    new_repo_task_id=optional(NUMBER),
    rebuild_strategy=TEXT,
    scmurl=optional(TEXT),
    srpms=array(TEXT),
    siblings=array(ID) | {"description": "Builds of the same name, stream, version and scratch flag"},
    state_reason=optional(TEXT),
    time_completed=optional(TIME),
    time_modified=TIME,
    time_submitted=TIME,
    buildrequires=mapping({"type": "object"}),
    error=optional(
        record(
            code=TEXT,
            message=TEXT,
            hint=TEXT,
            cause={"enum": ["module", "infrastructure", "canceled"], "description": "Whose fault it was"},
            excerpt=optional(extended(EXCERPT, component=TEXT, component_build=ID)),
        )
    ),
    tasks=mapping(mapping(_TASK)) | {"description": 'Components by format ("rpms") and package'},
    repository_url=optional(URL) | {"description": "Of a ready build: the repository of its stream"},
    repo_file_url=optional(URL) | {"description": "The file that dnf reads about that repository"},
    install=array(TEXT) | {"description": "Commands with which root installs a ready build"},
    waiting_for=optional(ref("Waiting")),
)
MODULE_VERBOSE = extended(
    MODULE,
    base_module_buildrequires=array(extended(_NAMED, stream_version=_STREAM_VERSION)),
    build_context=optional(TEXT),
    build_context_no_bms=optional(TEXT),
    modulemd=TEXT | {"description": "The document as it was expanded"},
    reused_module_id=optional(ID),
    runtime_context=optional(TEXT),
    state_trace=array(record(time=TIME, state=STATE, state_name=STATE_NAME, reason=optional(TEXT))),
    state_url=TEXT | {"description": "Path of this build in the API: put the host before it"},
    stream_version=_STREAM_VERSION,
    virtual_streams=array(TEXT),
    arches=array(TEXT),
)
COMPONENT = record(
    id=ID,
    package=TEXT,
    format=TEXT,
    task_id=optional(NUMBER),
    state=COMPONENT_STATE,
    state_reason=optional(TEXT),
    nvr=optional(TEXT),
    state_name=COMPONENT_STATE_NAME,
    module_build=ID,
    buildonly=FLAG | {"description": "Needed for building only, and not shipped (modulemd: buildonly)"},
    task_url=optional(TEXT),
    weight={"type": "number", "description": "Expected seconds"},
    reuse=optional(record(reused=FLAG, code=TEXT, detail=TEXT)),
    excerpt=optional(EXCERPT) | {"description": "The lines of its log that explain why it failed"},
    time_started=optional(TIME),
    time_completed=optional(TIME),
    waiting_for=optional(ref("Waiting")),
)
COMPONENT_VERBOSE = extended(
    COMPONENT,
    batch=NUMBER,
    state_trace=array(
        record(time=TIME, state=COMPONENT_STATE, state_name=COMPONENT_STATE_NAME, reason=optional(TEXT))
    ),
    state_url=TEXT | {"description": "Path of this build in the API: put the host before it"},
)
_PROBLEM = with_options(
    record(code=TEXT, message=TEXT),
    **dict.fromkeys(("component", "key", "tried", "hint"), TEXT),
    line=NUMBER,
)
ERROR = with_options(
    record(
        status=NUMBER | {"description": "The HTTP status"},
        error=TEXT | {"description": "Its name"},
        message=TEXT | {"description": "For people: what is wrong with what"},
        code=TEXT | {"description": "For programs; it stays the same when messages change"},
        hint=TEXT | {"description": "What to do about it"},
    ),
    problems=array(_PROBLEM) | {"description": "The single faults, where there are several"},
)
TOKEN = record(
    id=ID,
    name=TEXT,
    owner=TEXT,
    start=TEXT | {"description": "Its first characters, by which one knows it"},
    scopes=array(TEXT),
    time_created=TIME,
    time_expires=TIME,
    time_revoked=optional(TIME),
    time_last_used=optional(TIME),
)
#: one server-sent event
EVENT = record(
    event={"enum": ["state", "batch", "component", "log", "end"]},
    id=TEXT | {"description": "To be sent in Last-Event-ID by who comes back for the rest"},
    data={"type": "string", "contentMediaType": "application/json"},
)

SHAPES: dict[str, Shape] = {
    "Error": ERROR,
    "Meta": record(
        page=ID,
        pages=NUMBER,
        per_page=NUMBER,
        total=NUMBER,
        first=URL,
        last=URL,
        prev=optional(URL),
        next=optional(URL),
    ),
    "Waiting": record(what=TEXT, since=TIME, wakes_on=TEXT),
    "ModuleBuildShort": MODULE_SHORT,
    "ModuleBuild": MODULE,
    "ModuleBuildVerbose": MODULE_VERBOSE,
    "ComponentBuild": COMPONENT,
    "ComponentBuildVerbose": COMPONENT_VERBOSE,
    "Event": EVENT,
    "LogMessage": record(id=ID, time_created=TIME, message=TEXT),
    "Token": TOKEN,
    "NewToken": extended(TOKEN, token=TEXT | {"description": "The token itself, which is shown only now"}),
}

# Bodies

_NO_NUL: Shape = {"type": ["string", "null"], "pattern": "^[^\\u0000]*$"}
_YES_OR_NO: Shape = {
    "type": ["boolean", "null", "string", "integer"],
    "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|1|0)$",
    "minimum": 0,
    "maximum": 1,
}
_TEXTS: Shape = {"type": ["array", "null"], "items": {"type": "string", "pattern": "^[^\\u0000]*$"}}
_FIELDS: dict[type[drf.Field], Shape] = {
    serializers.Identifier: {"anyOf": [_NO_NUL, NUMBER]},
    serializers.Text: _NO_NUL,
    serializers.Streams: {"type": ["object", "null"], "additionalProperties": array(TEXT)},
    serializers.Refs: {"type": ["object", "null"], "additionalProperties": TEXT},
    serializers.Structured: _TEXTS,
    serializers.Flag: _YES_OR_NO,
    serializers.Whole: {"type": ["integer", "null"]},
}


def body(serializer: type[serializers.StrictSerializer]) -> dict[str, Shape]:
    """The bodies that a serializer reads, by media type: JSON and, where it takes a file, a form."""
    fields = serializer().fields.items()
    bodies = {"application/json": {name: _field(field) for name, field in fields if not _is_file(field)}}
    if any(_is_file(field) for _, field in fields):
        bodies["multipart/form-data"] = {name: _part(field) for name, field in fields}
    return {
        kind: {
            "type": "object",
            "properties": properties,
            "additionalProperties": not serializer.refuses_unknown,
        }
        for kind, properties in bodies.items()
    }


def _is_file(field: drf.Field) -> bool:
    return isinstance(field, drf.FileField)


def _field(field: drf.Field) -> Shape:
    return _described(field, next(shape for cls, shape in _FIELDS.items() if isinstance(field, cls)))


def _part(field: drf.Field) -> Shape:
    """A part of a form: a file, or text, which for objects and lists is JSON."""
    return _described(field, {"type": "string", "format": "binary"} if _is_file(field) else TEXT)


def _described(field: drf.Field, shape: Shape) -> Shape:
    text = field.help_text or (f"It is {field.form}" if isinstance(field, serializers.Structured) else "")
    return shape | ({"description": str(text)} if text else {})
