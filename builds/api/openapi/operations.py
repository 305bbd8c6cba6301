"""Descriptions of the API's operations, by view and action (docs/contract/rest.md).

Filters, order and keys of bodies are not repeated here, since the views define them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builds.api.authentication import SAFE
from builds.api.openapi import examples
from builds.api.openapi.schemas import Schema, page_of, ref
from mbs import __version__

JSON, SSE, PLAIN = "application/json", "text/event-stream", "text/plain"

#: Status of an error -> its meaning.
MEANINGS = {
    400: "A parameter or a key of the body is not valid; the message names it.",
    401: "The credentials are missing or have expired.",
    403: "The user may not do this.",
    404: "The resource does not exist.",
    409: "The resource exists already, or its state does not allow this.",
    429: "There were too many failed logins from this address.",
    411: "The request does not announce the length of its body.",
    413: "The body is too large.",
    422: "The modulemd is invalid, or names something that does not exist.",
    500: "The service failed unexpectedly; the message has the incident number.",
    501: "The configured build system does not support this.",
    503: "The database, the broker or an identity provider is unavailable; nothing was recorded.",
}
_READING = {400, 500, 503}
_WRITING = _READING | {401, 403, 411, 413, 429}
#: Further errors of a submission that names something that exists already, is wrong, or is unavailable.
_BUILDING = (404, 409, 422, 501)


@dataclass(frozen=True)
class Operation:
    """One method of one address.

    Attributes:
        answer: The schema of the answer, or one for each version of the API if they differ.
        examples: Name -> an answer.
        bodies: Name -> a request body.
        more_errors: Statuses of errors besides those of all operations of its kind.
        parameters: Query parameters other than filters, order and page.
        empty: Statuses of answers without a body -> their meaning.
    """

    id: str
    summary: str
    answer: Schema = field(default_factory=dict)
    status: int = 200
    media_type: str = JSON
    examples: Mapping[str, Any] = field(default_factory=dict)
    bodies: Mapping[str, Any] = field(default_factory=dict)
    more_errors: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    empty: Mapping[int, str] = field(default_factory=dict)

    def errors(self, path: str, method: str) -> set[int]:
        """Return the statuses of the errors that are possible."""
        common = _READING if method.upper() in SAFE else _WRITING
        return {*common, *self.more_errors, *((404,) if "{id}" in path else ())}


_MODULE = {"anyOf": [ref("ModuleBuildVerbose"), ref("ModuleBuild"), ref("ModuleBuildShort")]}
_COMPONENT = {"anyOf": [ref("ComponentBuildVerbose"), ref("ComponentBuild")]}
_MODULES = {"default": examples.MODULE, "verbose": examples.MODULE_VERBOSE, "short": examples.MODULE_SHORT}
_COMPONENTS = {"default": examples.COMPONENT, "verbose": examples.COMPONENT_VERBOSE}
_VERBOSE = ref("ModuleBuildVerbose")
#: Version 1 returns the first build of a submission, version 2 all.
_SUBMITTED: Schema = {"1": _VERBOSE, "2": {"type": "array", "items": _VERBOSE}}
_SUBMISSIONS = {"commit": examples.SUBMISSION, "file": examples.SUBMISSION_OF_A_FILE}
_SHAPES = ("verbose", "short")
_TEXT: Schema = {"type": "string"}
_URLS: Schema = {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}}


def _pages(resource: str, items: Mapping[str, Any]) -> dict[str, Any]:
    return {name: examples.page(resource, item) for name, item in items.items()}


def _messages(kind: str, number: int) -> Operation:
    """Return the operation that lists the log messages of a module or component build."""
    shown = examples.page(f"{kind}-builds/{number}/messages", examples.MESSAGE, "messages")
    return Operation(
        f"list_{kind}_messages",
        f"Log messages of a {kind} build",
        page_of(ref("LogMessage"), "messages"),
        examples={"messages": shown},
    )


OPERATIONS: Mapping[str, Operation] = {
    "root.list": Operation("resources", "The resources of the service", _URLS),
    "module-build.list": Operation(
        "list_module_builds",
        "List module builds",
        page_of(_MODULE),
        examples=_pages("module-builds/", _MODULES),
        more_errors=(501,),
        parameters=_SHAPES,
    ),
    "module-build.retrieve": Operation(
        "get_module_build", "One module build", _MODULE, examples=_MODULES, parameters=_SHAPES
    ),
    "module-build.create": Operation(
        "submit", "Submit a module", _SUBMITTED, status=201, bodies=_SUBMISSIONS, more_errors=_BUILDING
    ),
    "module-build.partial_update": Operation(
        "cancel",
        "Cancel a module build",
        _VERBOSE,
        examples={"canceled": examples.MODULE_VERBOSE},
        bodies={"cancel": examples.CANCELLATION},
        more_errors=(409,),
    ),
    "module-build.retry": Operation(
        "retry", "Resume a failed build", _VERBOSE, bodies={"retry": {}}, more_errors=(409,)
    ),
    "module-build.rebuild": Operation(
        "rebuild",
        "Build a commit again as a new version",
        _SUBMITTED,
        status=201,
        bodies={"everything": {"rebuild_strategy": "all"}},
        more_errors=_BUILDING,
    ),
    "module-build.plan_rebuild": Operation(
        "plan_rebuild", "Preview a rebuild", ref("Plan"), bodies={"everything": {}}, more_errors=_BUILDING
    ),
    "module-build.retire": Operation(
        "retire", "Take a module build out of service", _VERBOSE, bodies={"retire": {}}, more_errors=(409,)
    ),
    "module-build.compare": Operation(
        "compare", "The differences to another module build", ref("Comparison"), parameters=("with", "all")
    ),
    "module-build.messages": _messages("module", 12),
    "event.list": Operation(
        "follow",
        "Server-sent events of a module build",
        ref("Event"),
        media_type=SSE,
        empty={204: "The build has ended and all events were sent: do not reconnect."},
    ),
    "plan.create": Operation(
        "plan", "Preview a submission", ref("Plan"), bodies=_SUBMISSIONS, more_errors=_BUILDING
    ),
    "component-build.list": Operation(
        "list_component_builds",
        "List component builds",
        page_of(_COMPONENT),
        examples=_pages("component-builds/", _COMPONENTS),
        parameters=_SHAPES,
    ),
    "component-build.retrieve": Operation(
        "get_component_build", "One component build", _COMPONENT, examples=_COMPONENTS, parameters=_SHAPES
    ),
    "component-build.messages": _messages("component", 34),
    "about.list": Operation(
        "about",
        "The version of the service, and how to log in",
        ref("About"),
        examples={"about": {"version": __version__, "api_version": 2, "auth_method": "oidc"}},
    ),
    "me.list": Operation(
        "me",
        "Who is logged in",
        ref("Me"),
        examples={"login": {"username": "ann", "groups": ["packager"], "scopes": None}},
        more_errors=(401, 429),
    ),
    "rebuild-strategy.list": Operation(
        "list_rebuild_strategies", "The rebuild strategies", ref("RebuildStrategies")
    ),
    "import-module.create": Operation(
        "import_module",
        "Record a module that was built elsewhere",
        ref("Imported"),
        status=201,
        examples={"imported": examples.IMPORTED},
        bodies={
            "commit": {"scmurl": examples.SUBMISSION["scmurl"]},
            "document": {"modulemd": examples.MODULEMD},
        },
        more_errors=(404, 409, 422),
    ),
    "final-modulemd.retrieve": Operation(
        "get_final_modulemd",
        "The final modulemd documents of a finished module",
        {"type": "object", "additionalProperties": _TEXT},
        examples={"by architecture": {"x86_64": examples.MODULEMD}},
        more_errors=(501,),
    ),
    "metrics.list": Operation("metrics", "Metrics for Prometheus", _TEXT, media_type=PLAIN),
    "token.list": Operation(
        "list_tokens",
        "List one's API tokens",
        page_of(ref("Token")),
        examples={"tokens": examples.page("tokens/", examples.API_TOKEN)},
        more_errors=(401, 403),
    ),
    "token.create": Operation(
        "create_token",
        "Create an API token",
        ref("NewToken"),
        status=201,
        examples={"token": examples.NEW_TOKEN},
        bodies={"token": examples.TOKEN},
    ),
    "token.destroy": Operation(
        "revoke_token", "Revoke an API token", ref("Token"), examples={"token": examples.API_TOKEN}
    ),
    "subscription.list": Operation(
        "list_subscriptions",
        "List one's subscriptions, or for admins all",
        page_of(ref("Subscription")),
        examples={"subscriptions": examples.page("subscriptions/", examples.SUBSCRIPTION)},
        more_errors=(401, 403),
    ),
    "subscription.create": Operation(
        "subscribe",
        "Subscribe a webhook to module builds",
        ref("NewSubscription"),
        status=201,
        examples={"subscription": examples.NEW_SUBSCRIPTION},
        bodies={"own builds": {"address": "https://example.com/hook", "owner": "ann"}},
        more_errors=(409,),
    ),
    "subscription.destroy": Operation(
        "unsubscribe",
        "Delete a subscription",
        ref("Subscription"),
        examples={"subscription": examples.SUBSCRIPTION},
    ),
    "schema.list": Operation("schema", "This document", {"type": "object"}),
    "docs.list": Operation("docs", "This document as a page", ref("DocsAddress")),
}
