"""The shapes of plans: the effects that submissions would have."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from builds.shapes import ComponentStateName, Id, Reuse, Seconds
from mbs.states import BUILD_STATES


class PlannedReuse(Reuse):
    """Whether a component would be reused, and why."""

    former: Annotated[str, Field(description="The deciding value of the former build")]
    present: Annotated[str, Field(description="The same value of this build")]
    nvr: Annotated[str | None, Field(description="The build that would be reused")]


class PlannedComponent(TypedDict):
    """A component of a planned build."""

    package: str
    scmurl: str | None
    ref: Annotated[str | None, Field(description="The commit; null for the macros package")]
    arches: list[str]
    build_after: Annotated[list[str], Field(description="Packages of the batch that are built before it")]
    state_name: ComponentStateName
    seconds: Annotated[Seconds | None, Field(description="Expected; null if it was never built before")]
    reuse: Annotated[
        PlannedReuse | None, Field(description="Null for builds that exist and for the macros package")
    ]


class PlannedBatch(TypedDict):
    """A batch of a planned build."""

    batch: int
    components: list[PlannedComponent]


class PlannedDependencies(TypedDict):
    """A dependency list of a planned build."""

    buildrequires: dict[str, list[str]]
    requires: dict[str, list[str]]


class ReusedModule(TypedDict):
    """The module build whose components are reused."""

    id: Id
    nsvc: str


class CriticalPath(TypedDict):
    """The components that determine how long a build takes at least."""

    seconds: Seconds
    packages: Annotated[list[str], Field(description="They are built one after the other")]
    unknown: Annotated[list[str], Field(description="Packages whose build time is not known")]


class PlannedBuild(TypedDict):
    """A module build that a submission would make, resume or keep."""

    action: Annotated[
        Literal["build", "resume", "keep"],
        Field(description="build: a new build; resume: a failed build continues; keep: nothing changes"),
    ]
    id: Id | None
    state_name: Annotated[
        Annotated[str, WithJsonSchema({"enum": [*BUILD_STATES]})] | None,
        Field(description="Of a build that exists"),
    ]
    nsvc: str
    name: str
    stream: str
    version: str
    context: str
    dependencies: list[PlannedDependencies]
    buildrequires: Annotated[
        dict[str, str], Field(description="Name -> stream:version:context of the required module builds")
    ]
    rebuild_strategy: str
    reused_module: ReusedModule | None
    graph: Annotated[bool, Field(description="Components wait for named components instead of batches")]
    batches: list[PlannedBatch]
    critical_path: CriticalPath


class RejectedStreams(TypedDict):
    """A combination of streams that cannot be built."""

    code: Literal["stream_collision", "unmet_requirement", "unsolvable"]
    message: str
    streams: Annotated[dict[str, str], Field(description="Module -> stream: they conflict")]
    modules: Annotated[list[str], Field(description="Builds that collide or have an unmet requirement")]
    paths: Annotated[list[list[str]], Field(description="How the document requires each of modules")]
    dependencies: Annotated[int, Field(ge=0, description="Number of the document's dependency list")]
    context: NotRequired[Annotated[str, Field(description="The author's context, if there are several")]]


class PlanStep(TypedDict):
    """A decision of the expansion."""

    code: str
    message: str
    module: NotRequired[str]
    context: NotRequired[str]
    dependencies: NotRequired[Annotated[int, Field(ge=0)]]
    considered: NotRequired[list[str]]
    dropped: NotRequired[list[str]]


class PlanWarning(TypedDict):
    """A warning about a component."""

    component: str
    message: str


class Plan(TypedDict):
    """The effect that a submission would have."""

    scmurl: str | None
    commit: str | None
    scratch: bool
    builds: list[PlannedBuild]
    rejected: list[RejectedStreams]
    trace: Annotated[list[PlanStep], Field(description="The decisions, in their order")]
    warnings: list[PlanWarning]
