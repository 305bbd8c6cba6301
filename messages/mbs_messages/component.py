"""``mbs.component.state.change``: the state of a component build changed."""

from __future__ import annotations

from fedora_messaging.message import DEBUG

from mbs_messages.base import NUMBER, NUMBER_OR_NULL, TEXT, TEXT_OR_NULL, ModuleBuildMessage, schema

#: Names of Koji's build states, by number.
STATES = ("BUILDING", "COMPLETE", "DELETED", "FAILED", "CANCELED")
_SAID = {
    None: "will be built again",
    "BUILDING": "is being built",
    "COMPLETE": "was built",
    "DELETED": "was deleted",
    "FAILED": "failed to build",
    "CANCELED": "was canceled",
}


class ComponentStateChangeV1(ModuleBuildMessage):
    """Sent when a component is submitted, when its build ends, and when it is to be built again."""

    severity = DEBUG
    topic = "mbs.component.state.change"
    body_schema = schema(
        "mbs.component.state.change.v1",
        "The state of a component of a module build changed.",
        {
            "id": {**NUMBER, "description": "number of the component build"},
            "package": {**TEXT, "description": "name of the source package"},
            "nvr": {**TEXT_OR_NULL, "description": "name-version-release, once it is known"},
            "task_id": {**NUMBER_OR_NULL, "description": "number of the build system's task"},
            "state": {"type": ["integer", "null"], "minimum": 0, "maximum": len(STATES) - 1},
            "state_name": {"enum": [*STATES, None]},
            "state_reason": TEXT_OR_NULL,
            "module_build": {**NUMBER, "description": "number of the module build"},
            "name": {**TEXT, "description": "of the module, like the following three keys"},
            "stream": TEXT,
            "version": TEXT,
            "context": TEXT,
        },
    )

    @property
    def summary(self) -> str:
        """One line about the change."""
        return f"{self.body['nvr'] or self.body['package']} {_SAID[self.state_name]} for module {self.nsvc}"

    @property
    def packages(self) -> list[str]:
        """Names of the packages that the message is about."""
        return [self.body["package"]]
