"""The shape of a plan, and an example (``builds.services.plan`` makes plans)."""

from __future__ import annotations

from typing import Any

from builds.api.schema_shapes import (
    COMPONENT_STATE_NAME,
    FLAG,
    ID,
    NUMBER,
    STATE_NAME,
    TEXT,
    Shape,
    array,
    mapping,
    optional,
    record,
    ref,
    with_options,
)

_LIST: Shape = {"type": "integer", "minimum": 0, "description": "Number of the document's dependency list"}
_CONTEXT: Shape = TEXT | {"description": "The author's context, where the document has several"}
_SECONDS: Shape = {"type": "number", "minimum": 0}

REUSE = record(
    reused=FLAG,
    code=TEXT | {"description": "For programs: why, or why not"},
    detail=TEXT | {"description": "For people: the two values that were compared"},
    former=TEXT | {"description": "The value of the former build that decided"},
    present=TEXT | {"description": "The one of this build"},
    nvr=optional(TEXT) | {"description": "What is reused"},
)
COMPONENT = record(
    package=TEXT,
    scmurl=optional(TEXT),
    ref=optional(TEXT) | {"description": "The commit; of the macros package there is none"},
    arches=array(TEXT),
    build_after=array(TEXT) | {"description": "Packages of the batch that must be built before"},
    state_name=COMPONENT_STATE_NAME,
    seconds=optional(_SECONDS) | {"description": "Expected; null where nothing like it was built"},
    reuse=optional(REUSE) | {"description": "Null of what exists already, and of the macros package"},
)
BUILD = record(
    action={
        "enum": ["build", "resume", "keep"],
        "description": "build: it is new; resume: it has failed and goes on; keep: it is left as it is",
    },
    id=optional(ID),
    state_name=optional(STATE_NAME) | {"description": "Of one that exists"},
    nsvc=TEXT,
    name=TEXT,
    stream=TEXT,
    version=TEXT,
    context=TEXT,
    dependencies=array(record(buildrequires=mapping(array(TEXT)), requires=mapping(array(TEXT)))),
    buildrequires=mapping(TEXT)
    | {"description": "stream:version:context of each module that it is built against, by name"},
    rebuild_strategy=TEXT,
    reused_module=optional(record(id=ID, nsvc=TEXT))
    | {"description": "The build that components are taken from"},
    graph=FLAG | {"description": "Components wait for those that they name, not for batches"},
    batches=array(record(batch=NUMBER, components=array(ref("PlannedComponent")))),
    critical_path=record(
        seconds=_SECONDS | {"description": "It takes at least so long"},
        packages=array(TEXT) | {"description": "Because of these, one after the other"},
        unknown=array(TEXT) | {"description": "Packages that nobody knows the time of"},
    ),
)
REJECTED = with_options(
    record(
        code={"enum": ["stream_collision", "unmet_requirement", "unsolvable"]},
        message=TEXT,
        streams=mapping(TEXT) | {"description": "Module and stream: these cannot be together in one build"},
        modules=array(TEXT) | {"description": "The builds that collide, or whose requirement nothing meets"},
        paths=array(array(TEXT)) | {"description": "How the document comes to need each of modules"},
        dependencies=_LIST,
    ),
    context=_CONTEXT,
)
STEP = with_options(
    record(code=TEXT, message=TEXT),
    module=TEXT | {"description": "The name of the module it is about"},
    context=_CONTEXT,
    dependencies=_LIST,
    considered=array(TEXT),
    dropped=array(TEXT),
)
PLAN = record(
    scmurl=optional(TEXT),
    commit=optional(TEXT),
    scratch=FLAG,
    builds=array(ref("PlannedBuild")),
    rejected=array(ref("RejectedStreams")) | {"description": "Combinations that cannot be built"},
    trace=array(ref("PlanStep")) | {"description": "What was decided on the way, in order"},
    warnings=array(record(component=TEXT, message=TEXT)),
)
SHAPES: dict[str, Shape] = {
    "Plan": PLAN,
    "PlannedBuild": BUILD,
    "PlannedComponent": COMPONENT,
    "PlanStep": STEP,
    "RejectedStreams": REJECTED,
}

_COMMIT = "8c1d3ac9e6c1a4a6c3f5f3f1d2c7f7e2b8f1d0aa"
_SCMURL = "https://git.example.com/rpms/libgreet"


def _component(package: str, **values: Any) -> dict[str, Any]:
    return {
        "package": package,
        "scmurl": None,
        "ref": None,
        "arches": ["x86_64"],
        "build_after": [],
        "state_name": None,
        "seconds": None,
        "reuse": None,
        **values,
    }


EXAMPLE: dict[str, Any] = {
    "scmurl": f"https://git.example.com/modules/greetings.git?#{_COMMIT}",
    "commit": _COMMIT,
    "scratch": False,
    "builds": [
        {
            "action": "build",
            "id": None,
            "state_name": None,
            "nsvc": "greetings:1:4320240131120000:9edba152",
            "name": "greetings",
            "stream": "1",
            "version": "4320240131120000",
            "context": "9edba152",
            "dependencies": [{"buildrequires": {"platform": ["f43"]}, "requires": {"platform": ["f43"]}}],
            "buildrequires": {"platform": "f43:3:00000000"},
            "rebuild_strategy": "changed-and-after",
            "reused_module": {"id": 7, "nsvc": "greetings:1:4320240101120000:9edba152"},
            "graph": False,
            "batches": [
                {"batch": 1, "components": [_component("module-build-macros", seconds=30.0)]},
                {
                    "batch": 2,
                    "components": [
                        _component(
                            "libgreet",
                            scmurl=_SCMURL,
                            ref=_COMMIT,
                            seconds=240.0,
                            reuse={
                                "reused": False,
                                "code": "commit_changed",
                                "detail": f"was 5f2e9a1, is {_COMMIT[:7]}",
                                "former": "5f2e9a1",
                                "present": _COMMIT[:7],
                                "nvr": None,
                            },
                        )
                    ],
                },
            ],
            "critical_path": {
                "seconds": 270.0,
                "packages": ["module-build-macros", "libgreet"],
                "unknown": [],
            },
        }
    ],
    "rejected": [
        {
            "code": "unmet_requirement",
            "message": "Nothing that can be used satisfies tools:2: the document buildrequires platform:f42, "
            "platform:f42:3:00000000 requires tools:2.",
            "streams": {"platform": "f42"},
            "modules": ["platform:f42:3:00000000"],
            "paths": [["platform:f42:3:00000000"]],
            "dependencies": 0,
        }
    ],
    "trace": [
        {
            "code": "open_list",
            "message": "platform: [] stands for f42, f43.",
            "module": "platform",
            "dependencies": 0,
            "considered": ["f42", "f43"],
        },
        {
            "code": "chosen",
            "message": "greetings:1 is built against platform:f43 as 9edba152.",
            "dependencies": 0,
            "considered": ["platform:f43:3:00000000"],
        },
    ],
    "warnings": [{"component": "libgreet", "message": "The spec file names no version."}],
}
