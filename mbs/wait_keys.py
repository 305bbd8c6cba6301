"""Keys of waits: a parked task stores the key of the event that wakes it.

A key is ``kind:name``. The side that records an event builds the same key as the task that waits for it. Keys
are stored in the database, so a changed key strands tasks that were parked before.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The kinds of events that a task can wait for."""

    #: The components named in ``buildafter`` are in the buildroot.
    AFTER = "after"
    #: The git servers have answered for the components of a module build.
    CHECK = "check"
    #: The build of a component has ended.
    COMPONENT = "component"
    #: The repository of a module's tag has been regenerated.
    REPO = "repo"
    #: An outage may be over.
    RETRY = "retry"
    #: A component may occupy a build slot.
    SLOT = "slot"
    #: Builds are in a tag.
    TAG = "tag"

    @property
    def prefix(self) -> str:
        """The beginning of all keys of this kind."""
        return f"{self}:"


def after(component_id: int) -> str:
    """Return the key of a component that waits for the components in its ``buildafter``."""
    return f"{Kind.AFTER.prefix}{component_id}"


def check(build_id: int) -> str:
    """Return the key of a module build whose components are looked up in git."""
    return f"{Kind.CHECK.prefix}{build_id}"


def component(component_id: int) -> str:
    """Return the key of a component that is being built."""
    return f"{Kind.COMPONENT.prefix}{component_id}"


def repo(koji_tag: str) -> str:
    """Return the key of a regeneration, by the module's tag (without ``-build``)."""
    return f"{Kind.REPO.prefix}{koji_tag}"


def retry(celery_task_id: str) -> str:
    """Return the key of a task that is tried again after an outage."""
    return f"{Kind.RETRY.prefix}{celery_task_id}"


def slot(component_id: int) -> str:
    """Return the key of a component that waits for a build slot."""
    return f"{Kind.SLOT.prefix}{component_id}"


def tag(name: str) -> str:
    """Return the key of a tagging: the module's tag, or the NVR of a module that is tagged as a whole."""
    return f"{Kind.TAG.prefix}{name}"
