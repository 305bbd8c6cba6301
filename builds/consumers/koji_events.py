"""Parse Koji's bus messages into events (docs/contract/messages.md).

Only the fields that are used here are required and checked, so that a hub may add or omit others. The package
with the schemas of Koji's messages is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from jsonschema import Draft202012Validator

from buildsys.base import TaskState
from mbs.errors import InvalidInput
from mbs.states import ComponentState


class MalformedMessage(InvalidInput):
    """The body of a message does not fit its topic."""

    code = "malformed_message"


@dataclass(frozen=True)
class BuildChanged:
    """The state of a build has changed.

    Attributes:
        task_id: Number of the build's task in the build system.
        state: The new state.
        nvr: ``name-version-release``; empty if the message does not contain it.
    """

    task_id: int
    state: TaskState
    nvr: str = ""


@dataclass(frozen=True)
class BuildTagged:
    """A build was tagged."""

    tag: str
    nvr: str


@dataclass(frozen=True)
class RepoDone:
    """The repository of a tag was regenerated."""

    tag: str


Event = BuildChanged | BuildTagged | RepoDone

_BUILD_STATES = {
    ComponentState.BUILDING: TaskState.OPEN,
    ComponentState.COMPLETE: TaskState.COMPLETE,
    ComponentState.FAILED: TaskState.FAILED,
    ComponentState.CANCELED: TaskState.CANCELED,
}
#: Other task states are ignored: a closed task follows a message about its build.
_TASK_STATES = {"FAILED": TaskState.FAILED, "CANCELED": TaskState.CANCELED}
#: Names of tags and builds: Koji's rule, limited to the length of the columns.
_NAME = re.compile(r"[A-Za-z0-9/_.+~^][A-Za-z0-9/_.+~^-]{0,255}")


def parse(topic: str, body: Mapping[str, Any]) -> Event | None:
    """Return the event that a message reports; None if this service does not use it.

    Args:
        topic: Topic of the message.
        body: Its body, which may be in an envelope ``{"msg": {...}}``.

    Raises:
        MalformedMessage: The body does not fit the topic.
    """
    prefixes = settings.MBS.MESSAGING_TOPIC_PREFIX
    if prefixes and not topic.startswith(tuple(f"{prefix.rstrip('.')}." for prefix in prefixes)):
        return None
    kind = next((ending for ending in _KINDS if topic.endswith(f".{ending}")), None)
    if kind is None:
        return None
    if isinstance(body.get("msg"), Mapping):
        body = body["msg"]
    validator, read = _KINDS[kind]
    fault = next(validator.iter_errors(body), None)
    if fault is not None:
        raise MalformedMessage(f"{kind}: {fault.json_path}: {fault.message[:200]}")
    return read(body) if body["instance"] == settings.MBS.KOJI_INSTANCE else None


#: JSON types of the fields that are the same in every kind of message.
_FIELDS: dict[str, Any] = {
    **{name: {"type": "string"} for name in ("name", "version", "release", "tag", "method", "instance")},
    "id": {"type": "integer"},
    "task_id": {"type": ["integer", "null"]},
}


def _validator(fields: str, **types: str) -> Draft202012Validator:
    """Return the validator of a message body that must have these fields.

    Args:
        fields: Names of ``_FIELDS``, separated by spaces.
        types: JSON types of further fields, which differ between kinds of messages.
    """
    properties = {name: _FIELDS[name] for name in fields.split()}
    properties |= {name: {"type": kind} for name, kind in types.items()}
    return Draft202012Validator({"type": "object", "properties": properties, "required": list(properties)})


def _build_changed(body: Mapping[str, Any]) -> Event | None:
    state = _BUILD_STATES.get(body["new"])
    if state is None or body["task_id"] is None:
        return None
    return BuildChanged(body["task_id"], state, _nvr(body))


def _task_changed(body: Mapping[str, Any]) -> Event | None:
    """Return the end of a build task: a build that fails early has no build in Koji, only its task."""
    state = _TASK_STATES.get(body["new"])
    return BuildChanged(body["id"], state) if state and body["method"] == "build" else None


def _build_tagged(body: Mapping[str, Any]) -> Event:
    return BuildTagged(_name(body["tag"]), _nvr(body))


def _repo_done(body: Mapping[str, Any]) -> Event:
    return RepoDone(_name(body["tag"]))


def _nvr(body: Mapping[str, Any]) -> str:
    return _name("-".join(_name(body[key]) for key in ("name", "version", "release")))


def _name(text: object) -> str:
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise MalformedMessage(f"{str(text)[:100]!r} is not a name of a tag or a build.")
    return text


_KINDS: dict[str, tuple[Draft202012Validator, Callable[[Mapping[str, Any]], Event | None]]] = {
    "buildsys.build.state.change": (
        _validator("name version release task_id instance", new="integer"),
        _build_changed,
    ),
    "buildsys.tag": (_validator("tag name version release instance"), _build_tagged),
    "buildsys.repo.done": (_validator("tag instance"), _repo_done),
    "buildsys.task.state.change": (_validator("id method instance", new="string"), _task_changed),
}
