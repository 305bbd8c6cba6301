"""The shapes of lists: pages of rows, and the logs of a component."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from builds.shapes import (
    ComponentBuild,
    ComponentBuildVerbose,
    LogMessage,
    Meta,
    ModuleBuild,
    ModuleBuildShort,
    ModuleBuildVerbose,
    Subscription,
    Token,
)

#: A build in any shape that a request may ask for.
AnyModuleBuild = ModuleBuildVerbose | ModuleBuild | ModuleBuildShort
AnyComponentBuild = ComponentBuildVerbose | ComponentBuild


class ModuleBuildPage(TypedDict):
    """A page of module builds."""

    items: list[AnyModuleBuild]
    meta: Meta


class ComponentBuildPage(TypedDict):
    """A page of component builds."""

    items: list[AnyComponentBuild]
    meta: Meta


class LogMessagePage(TypedDict):
    """A page of log messages of a build."""

    messages: list[LogMessage]
    meta: Meta


class TokenPage(TypedDict):
    """A page of API tokens."""

    items: list[Token]
    meta: Meta


class SubscriptionPage(TypedDict):
    """A page of subscriptions."""

    items: list[Subscription]
    meta: Meta


class LogFile(TypedDict):
    """A log of a component."""

    name: str
    label: str


class LogList(TypedDict):
    """The logs of a component, and the size of one of them."""

    module_build: int
    component_build: int
    package: str
    task_id: int | None
    state: int | None
    state_name: str | None
    name: Annotated[str, Field(description="The log whose size is given")]
    logs: list[LogFile]
    size: int
    complete: Annotated[bool, Field(description="Whether nothing will be appended")]
