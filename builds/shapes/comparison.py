"""The shapes of comparisons of builds, and of the answer about the user who asks (``builds.shapes``)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from builds.shapes import ComponentStateName, Id, StateName, Time, Url


class ComparedBuild(TypedDict):
    """One of two builds that are compared."""

    id: Id
    nsvc: str
    state_name: StateName
    commit: str | None
    time_submitted: Time


class ComparedComponent(TypedDict):
    """A component of one of the builds."""

    ref: str | None
    url: Annotated[Url | None, Field(description="The commit, on the page of a known forge")]
    nvr: str | None
    state_name: ComponentStateName
    seconds: Annotated[float | None, Field(description="Duration of its build; null if it was not built")]


class CommitSubject(TypedDict):
    """A commit between those of both builds."""

    commit: str
    subject: str
    url: Annotated[Url | None, Field(description="The commit, on the page of a known forge")]


class ComponentDifference(TypedDict):
    """A component of both builds, or of one of them."""

    package: str
    change: Literal["added", "removed", "commit", "reused", "rebuilt", "same"]
    old: ComparedComponent | None
    new: ComparedComponent | None
    why: Annotated[str | None, Field(description="Why the new build did not reuse it")]
    url: Annotated[Url | None, Field(description="The commits between both, on the page of a known forge")]
    commits: Annotated[
        list[CommitSubject] | None,
        Field(description="The commits after the old one, newest first; null if they were not read from git"),
    ]
    more_commits: Annotated[bool, Field(description="Whether there are more commits")]


class BuildrequireDifference(TypedDict):
    """A buildrequire that differs, as stream:version:context."""

    name: str
    old: str | None
    new: str | None


class ListedRpm(TypedDict):
    """An RPM of one build only."""

    nevra: str
    size: Annotated[int | None, Field(description="In bytes, where the build system records it")]


class DependencyDifference(TypedDict):
    """Dependencies of an RPM that differ, without dist tags."""

    added: list[str]
    removed: list[str]


class RpmDifference(TypedDict):
    """An RPM of both builds that was rebuilt."""

    name: str
    arch: str
    old: Annotated[str, Field(description="epoch:version-release")]
    new: Annotated[str, Field(description="epoch:version-release")]
    old_size: int | None
    new_size: int | None
    requires: DependencyDifference | None
    provides: DependencyDifference | None


class RpmDifferences(TypedDict):
    """The RPMs of both builds."""

    added: list[ListedRpm]
    removed: list[ListedRpm]
    changed: list[RpmDifference]
    same: int


class Comparison(TypedDict):
    """The differences of two builds."""

    old: ComparedBuild
    new: ComparedBuild
    components: Annotated[
        list[ComponentDifference], Field(description="Changed ones first; unchanged ones only with all=1")
    ]
    unchanged: Annotated[int, Field(description="How many components did not change")]
    more_components: Annotated[int, Field(description="How many components are left out besides those")]
    reading_commits: Annotated[
        bool, Field(description="Whether missing commits are being read: ask again later")
    ]
    buildrequires: list[BuildrequireDifference]
    rpms: Annotated[RpmDifferences | None, Field(description="Null if the RPMs of one are not recorded")]


class Me(TypedDict):
    """The user whose credentials a request carries."""

    username: str
    groups: list[str]
    scopes: Annotated[list[str] | None, Field(description="What an API token is good for; null: everything")]
