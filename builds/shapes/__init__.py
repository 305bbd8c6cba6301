"""The shapes of responses and messages (docs/contract/rest.md, docs/contract/messages.md).

All keys of a shape are always present, except the NotRequired ones. Later versions may add keys, so clients
must ignore unknown ones. ``builds.api.openapi`` derives its JSON Schema from these types.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import Field, GetPydanticSchema, WithJsonSchema
from pydantic_core.core_schema import any_schema
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from builds.shapes.failures import Cause as Cause
from builds.shapes.failures import Failure as Failure
from builds.shapes.failures import StoredExcerpt
from mbs.states import BUILD_STATES, COMPONENT_STATES

Time = Annotated[
    datetime,
    WithJsonSchema(
        {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", "description": "In UTC"}
    ),
]
Id = Annotated[int, Field(ge=1)]
Url = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]
Path = Annotated[str, Field(description="Path of this build in the API: put the host before it")]
State = Annotated[int, WithJsonSchema({"enum": [*BUILD_STATES.values()]})]
StateName = Annotated[str, WithJsonSchema({"enum": [*BUILD_STATES]})]
ComponentState = Annotated[int | None, WithJsonSchema({"enum": [*COMPONENT_STATES.values(), None]})]
ComponentStateName = Annotated[str | None, WithJsonSchema({"enum": [*COMPONENT_STATES, None]})]
# JSON columns of listed rows are copied into responses unparsed.
_JSON_COLUMN = GetPydanticSchema(lambda *_: any_schema())
Texts = Annotated[
    list[str] | orjson.Fragment,
    _JSON_COLUMN,
    WithJsonSchema({"type": "array", "items": {"type": "string"}}),
]
BuildRequires = Annotated[
    dict[str, dict[str, Any]] | orjson.Fragment,
    _JSON_COLUMN,
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "object"}}),
]
Seconds = Annotated[float, Field(ge=0)]


class Problem(TypedDict):
    """One fault of a request or document."""

    code: str
    message: str
    component: NotRequired[str]
    key: NotRequired[str]
    tried: NotRequired[str]
    hint: NotRequired[str]
    line: NotRequired[int]


class Error(TypedDict):
    """The body of every error."""

    status: Annotated[int, Field(description="The HTTP status")]
    error: Annotated[str, Field(description="Name of the HTTP status")]
    message: Annotated[str, Field(description="For people: what is wrong with what")]
    code: Annotated[str, Field(description="For programs; it stays the same when messages change")]
    hint: Annotated[str, Field(description="What to do about it")]
    problems: NotRequired[Annotated[list[Problem], Field(description="The faults, if there are several")]]


class Meta(TypedDict):
    """The position of a page in its list."""

    page: Id
    pages: int
    per_page: int
    total: int
    first: Url
    last: Url
    prev: Url | None
    next: Url | None


class Waiting(TypedDict):
    """The oldest wait of a build."""

    what: str
    since: Time
    wakes_on: str


class Task(TypedDict):
    """The state of a component."""

    task_id: int | None
    state: ComponentState
    state_reason: str | None
    nvr: str | None


class NamedModule(TypedDict):
    """The name and state of a module build."""

    id: Id
    state: State
    state_name: StateName
    stream: str
    version: str
    name: str
    context: str


class ModuleBuildShort(NamedModule):
    """A module build, requested with ``short``."""

    scratch: bool


class ModuleState(ModuleBuildShort):
    """The keys of a module build that are also in bus messages."""

    batch: int
    component_builds: list[Id]
    koji_tag: str | None
    owner: str
    new_repo_task_id: int | None
    rebuild_strategy: str
    scmurl: str | None
    srpms: Texts
    siblings: Annotated[
        list[Id], Field(description="Builds of the same name, stream, version and scratch flag")
    ]
    state_reason: str | None
    time_completed: Time | None
    time_modified: Time
    time_submitted: Time
    buildrequires: BuildRequires
    error: Failure | None


class ModuleBuild(ModuleState):
    """A module build."""

    tasks: Annotated[
        dict[str, dict[str, Task]], Field(description='Components by format ("rpms") and package')
    ]
    repository_url: Annotated[Url | None, Field(description="Of a ready build: the repository of its stream")]
    repo_file_url: Annotated[Url | None, Field(description="The file that dnf reads about that repository")]
    install: Annotated[Texts, Field(description="Commands with which root installs a ready build")]
    waiting_for: Waiting | None


class RequiredBaseModule(NamedModule):
    """A base module that a module build requires."""

    stream_version: float | None


class ModuleStateChange(TypedDict):
    """A state change of a module build."""

    time: Time
    state: State
    state_name: StateName
    reason: str | None


class ModuleBuildVerbose(ModuleBuild):
    """A module build, requested with ``verbose``."""

    base_module_buildrequires: list[RequiredBaseModule]
    build_context: str | None
    build_context_no_bms: str | None
    modulemd: Annotated[str, Field(description="The document as it was expanded")]
    reused_module_id: Id | None
    runtime_context: str | None
    state_trace: list[ModuleStateChange]
    state_url: Path
    stream_version: float | None
    topdir: Annotated[str | None, Field(description="Of a finished build: the address of its files")]
    virtual_streams: list[str]
    arches: Texts


class Reuse(TypedDict):
    """Whether a component was reused, and why."""

    reused: bool
    code: str
    detail: str


class UnwaitedComponent(Task):
    """A component build without ``waiting_for``."""

    id: Id
    package: str
    format: str
    state_name: ComponentStateName
    module_build: Id
    buildonly: Annotated[
        bool, Field(description="Needed for building only, and not shipped (modulemd: buildonly)")
    ]
    task_url: str | None
    weight: Annotated[float, Field(description="Expected seconds")]
    reuse: Reuse | None
    excerpt: StoredExcerpt
    time_started: Time | None
    time_completed: Time | None


class ComponentBuild(UnwaitedComponent):
    """A component build."""

    waiting_for: Waiting | None


class ComponentStateChange(TypedDict):
    """A state change of a component build."""

    time: Time
    state: ComponentState
    state_name: ComponentStateName
    reason: str | None


class ComponentBuildVerbose(ComponentBuild):
    """A component build, requested with ``verbose``."""

    batch: int
    state_trace: list[ComponentStateChange]
    state_url: Path


class ServerSentEvent(TypedDict):
    """An event of a stream (HTML standard, 9.2)."""

    event: str
    id: Annotated[str, Field(description="Send it in Last-Event-ID to get the events after it")]
    data: str


class Event(TypedDict):
    """A server-sent event of a module build."""

    event: Literal["state", "batch", "component", "log", "end"]
    id: Annotated[str, Field(description="Send it in Last-Event-ID to get the events after it")]
    data: Annotated[str, WithJsonSchema({"type": "string", "contentMediaType": "application/json"})]


class LogMessage(TypedDict):
    """A log message of a build."""

    id: Id
    time_created: Time
    message: str


class Subscription(TypedDict):
    """A subscription to module builds."""

    id: Id
    kind: Annotated[str, Field(description="webhook or mail")]
    address: str
    subscriber: Annotated[str | None, Field(description="Its user; null if an operator made it")]
    owner: Annotated[str, Field(description="Only builds of this owner; empty for all")]
    name: str
    stream: str
    ended_only: Annotated[bool, Field(description="Only when a build is ready or has failed")]
    active: bool
    error: Annotated[str, Field(description="Why it is not active")]
    time_created: Time


class NewSubscription(Subscription):
    """A subscription that was just created."""

    secret: Annotated[str | None, Field(description="The key of its webhooks, which is shown only now")]


class Token(TypedDict):
    """An API token."""

    id: Id
    name: str
    owner: str
    start: Annotated[str, Field(description="Its first characters, to recognize it")]
    scopes: Texts
    time_created: Time
    time_expires: Time
    time_revoked: Time | None
    time_last_used: Time | None


class NewToken(Token):
    """An API token that was just created."""

    token: Annotated[str, Field(description="The token itself, which is shown only now")]


class DeviceLogin(TypedDict):
    """The values with which a command line gets tokens by the OAuth device flow (RFC 8628)."""

    issuer: Annotated[str, Field(description="The OpenID provider")]
    client_id: str
    scopes: list[str]


class About(TypedDict):
    """The version of the service, and the login method."""

    version: str
    api_version: int
    auth_method: Literal["oidc", "kerberos"]
    login: NotRequired[Annotated[DeviceLogin, Field(description="Present if command lines can log in")]]


class RebuildStrategy(TypedDict):
    """A rebuild strategy."""

    name: str
    description: str
    allowed: bool
    default: bool


class RebuildStrategies(TypedDict):
    """All rebuild strategies."""

    items: list[RebuildStrategy]


class Imported(TypedDict):
    """A module that was recorded."""

    module: ModuleBuild
    messages: list[str]


class DocsAddress(TypedDict):
    """The address of the OpenAPI document."""

    schema: Url


class ComponentMessage(Task):
    """The body of a message ``mbs.component.state.change``."""

    id: Id
    package: str
    state_name: ComponentStateName
    module_build: Id
    name: str
    stream: str
    version: str
    context: str
