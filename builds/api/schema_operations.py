"""What each operation of the API takes and answers, by its view and action (docs/contract/rest.md).

What the views know themselves (filters, columns to order by, keys of bodies) is not repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builds.api import schema_examples as examples
from builds.api import schema_plan
from builds.api import schema_shapes as shapes
from builds.api.schema_shapes import Shape, array, mapping, page_of, record, ref

JSON, SSE, PLAIN = "application/json", "text/event-stream", "text/plain"

READING = (400, 500, 503)
WRITING = (*READING, 401, 403, 411, 413, 429)
#: of submissions: what they name is there already, wrong, or not to be had
BUILDING = (*WRITING, 404, 409, 422, 501)
MEANINGS = {
    400: "A parameter or the body is wrong; the message names what.",
    401: "No credentials, or expired ones.",
    403: "Known, but not allowed.",
    404: "There is no such thing.",
    409: "It exists already, or its state does not allow this.",
    429: "There were too many failed logins from this address.",
    411: "The request does not say how long its body is.",
    413: "The body is too large.",
    422: "The modulemd is invalid, or what it names cannot be had.",
    500: "A fault of the service: the message has the number of the incident.",
    501: "The configured build system has no such thing.",
    503: "Maintenance, or the database, the broker or a provider is away: nothing was recorded.",
}


@dataclass(frozen=True)
class Operation:
    """One method of one address.

    :param answer: the shape of the answer; where versions of the API differ, one for each.
    :param examples: name -> an answer.
    :param bodies: name -> a body that is taken.
    :param errors: the statuses of its errors.
    :param parameters: of the query, besides filters, order and page.
    :param empty: statuses of answers without a body, and what they mean.
    """

    id: str
    summary: str
    answer: Shape = field(default_factory=dict)
    status: int = 200
    media_type: str = JSON
    examples: Mapping[str, Any] = field(default_factory=dict)
    bodies: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[int, ...] = READING
    parameters: tuple[str, ...] = ()
    empty: Mapping[int, str] = field(default_factory=dict)


MODULE = {"anyOf": [ref("ModuleBuildVerbose"), ref("ModuleBuild"), ref("ModuleBuildShort")]}
COMPONENT = {"anyOf": [ref("ComponentBuildVerbose"), ref("ComponentBuild")]}
MODULES = {
    "default": examples.MODULE,
    "verbose": examples.MODULE_VERBOSE,
    "short": examples.MODULE_SHORT,
}
COMPONENTS = {"default": examples.COMPONENT, "verbose": examples.COMPONENT_VERBOSE}
#: version 1 answers the first build of a submission, version 2 all
SUBMITTED: Shape = {"1": ref("ModuleBuildVerbose"), "2": array(ref("ModuleBuildVerbose"))}
SUBMISSIONS = {"commit": examples.SUBMISSION, "file": examples.SUBMISSION_OF_A_FILE}
SHAPES = ("verbose", "short")


def _pages(resource: str, items: Mapping[str, Any]) -> dict[str, Any]:
    return {name: examples.page(resource, item) for name, item in items.items()}


def _messages(kind: str, number: int) -> Operation:
    """The log messages of a module or component build, here of the build of the examples."""
    shown = examples.page(f"{kind}-builds/{number}/messages", examples.MESSAGE, "messages")
    return Operation(
        f"list_{kind}_messages",
        f"Log messages of a {kind} build",
        page_of(ref("LogMessage"), "messages"),
        examples={"messages": shown},
        errors=(*READING, 404),
    )


OPERATIONS: Mapping[str, Operation] = {
    "root.list": Operation("resources", "The resources of the service", mapping(shapes.URL)),
    "module-build.list": Operation(
        "list_module_builds",
        "List module builds",
        page_of(MODULE),
        examples=_pages("module-builds/", MODULES),
        errors=(*READING, 501),
        parameters=SHAPES,
    ),
    "module-build.retrieve": Operation(
        "get_module_build",
        "One module build",
        MODULE,
        examples=MODULES,
        errors=(*READING, 404),
        parameters=SHAPES,
    ),
    "module-build.create": Operation(
        "submit",
        "Submit a module",
        SUBMITTED,
        status=201,
        bodies=SUBMISSIONS,
        errors=BUILDING,
    ),
    "module-build.partial_update": Operation(
        "cancel",
        "Cancel a module build",
        ref("ModuleBuildVerbose"),
        examples={"canceled": examples.MODULE_VERBOSE},
        bodies={"cancel": examples.CANCELLATION},
        errors=(*WRITING, 404, 409),
    ),
    "module-build.retry": Operation(
        "retry",
        "Start a failed build again",
        ref("ModuleBuildVerbose"),
        bodies={"retry": {}},
        errors=(*WRITING, 404, 409),
    ),
    "module-build.rebuild": Operation(
        "rebuild",
        "Build a commit again as a new version",
        SUBMITTED,
        status=201,
        bodies={"everything": {"rebuild_strategy": "all"}},
        errors=BUILDING,
    ),
    "module-build.plan_rebuild": Operation(
        "plan_rebuild",
        "What a rebuild would build, and why",
        ref("Plan"),
        examples={"plan": schema_plan.EXAMPLE},
        bodies={"everything": {}},
        errors=BUILDING,
    ),
    "module-build.messages": _messages("module", 12),
    "event.list": Operation(
        "follow",
        "Server-sent events of a module build",
        ref("Event"),
        media_type=SSE,
        errors=(*READING, 404),
        empty={204: "The build is over and everything was told: do not come back."},
    ),
    "plan.create": Operation(
        "plan",
        "What a submission would do",
        ref("Plan"),
        examples={"plan": schema_plan.EXAMPLE},
        bodies=SUBMISSIONS,
        errors=BUILDING,
    ),
    "component-build.list": Operation(
        "list_component_builds",
        "List component builds",
        page_of(COMPONENT),
        examples=_pages("component-builds/", COMPONENTS),
        parameters=SHAPES,
    ),
    "component-build.retrieve": Operation(
        "get_component_build",
        "One component build",
        COMPONENT,
        examples=COMPONENTS,
        errors=(*READING, 404),
        parameters=SHAPES,
    ),
    "component-build.messages": _messages("component", 34),
    "about.list": Operation(
        "about",
        "The version of the service, and how to log in",
        record(version=shapes.TEXT, api_version=shapes.NUMBER, auth_method={"enum": ["oidc", "kerberos"]}),
        examples={"about": {"version": "0.1.0", "api_version": 2, "auth_method": "oidc"}},
    ),
    "rebuild-strategy.list": Operation(
        "list_rebuild_strategies",
        "The rebuild strategies",
        record(
            items=array(
                record(
                    name=shapes.TEXT,
                    description=shapes.TEXT,
                    allowed=shapes.FLAG,
                    default=shapes.FLAG,
                )
            )
        ),
    ),
    "import-module.create": Operation(
        "import_module",
        "Record a module that was built elsewhere",
        record(module=ref("ModuleBuild"), messages=array(shapes.TEXT)),
        status=201,
        examples={"imported": examples.IMPORTED},
        bodies={
            "commit": {"scmurl": examples.SUBMISSION["scmurl"]},
            "document": {"modulemd": examples.MODULEMD},
        },
        errors=(*WRITING, 404, 409, 422),
    ),
    "final-modulemd.retrieve": Operation(
        "get_final_modulemd",
        "The documents a finished module is shipped with",
        mapping(shapes.TEXT),
        examples={"by architecture": {"x86_64": examples.MODULEMD}},
        errors=(*READING, 404, 501),
    ),
    "metrics.list": Operation(
        "metrics", "Figures for Prometheus", {"type": "string"}, media_type=PLAIN, errors=READING
    ),
    "token.list": Operation(
        "list_tokens",
        "One's API tokens",
        page_of(ref("Token")),
        examples={"tokens": examples.page("tokens/", examples.API_TOKEN)},
        errors=(*READING, 401, 403),
    ),
    "token.create": Operation(
        "create_token",
        "Make an API token",
        ref("NewToken"),
        status=201,
        examples={"token": examples.NEW_TOKEN},
        bodies={"token": examples.TOKEN},
        errors=WRITING,
    ),
    "token.destroy": Operation(
        "revoke_token",
        "Revoke an API token",
        ref("Token"),
        examples={"token": examples.API_TOKEN},
        errors=(*WRITING, 404),
    ),
    "schema.list": Operation("schema", "This document", {"type": "object"}),
    "docs.list": Operation("docs", "This document for people, in a browser", record(schema=shapes.URL)),
}
