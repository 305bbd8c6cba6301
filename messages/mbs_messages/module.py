"""``mbs.module.state.change``: the state of a module build changed."""

from __future__ import annotations

from mbs_messages.base import (
    NUMBER,
    NUMBER_OR_NULL,
    NUMBERS,
    TEXT,
    TEXT_OR_NULL,
    TIME_OR_NULL,
    ModuleBuildMessage,
    schema,
)

STATES = ("init", "wait", "build", "done", "failed", "ready", "garbage")


class ModuleStateChangeV1(ModuleBuildMessage):
    """Sent when a module build is recorded, and after each change of its state."""

    topic = "mbs.module.state.change"
    body_schema = schema(
        "mbs.module.state.change.v1",
        "The state of a module build changed.",
        {
            "id": {**NUMBER, "description": "number of the module build"},
            "name": TEXT,
            "stream": TEXT,
            "version": {**TEXT, "description": "a whole number in decimal digits"},
            "context": TEXT,
            "release": {**TEXT, "description": "<version>.<context>, as in the NVR of the module in Koji"},
            "state": {"type": "integer", "minimum": 0, "maximum": len(STATES) - 1},
            "state_name": {"enum": list(STATES)},
            "state_reason": TEXT_OR_NULL,
            "scratch": {"type": "boolean"},
            "batch": {**NUMBER, "description": "the current batch, or the last one that was built"},
            "component_builds": {**NUMBERS, "description": "numbers of its component builds"},
            "siblings": {**NUMBERS, "description": "builds of the same name, stream and version"},
            "koji_tag": TEXT_OR_NULL,
            "new_repo_task_id": NUMBER_OR_NULL,
            "owner": {**TEXT, "description": "the user who submitted it"},
            "rebuild_strategy": TEXT,
            "scmurl": TEXT_OR_NULL,
            "srpms": {"type": "array"},
            "time_submitted": TIME_OR_NULL,
            "time_modified": TIME_OR_NULL,
            "time_completed": TIME_OR_NULL,
            "buildrequires": {
                "type": "object",
                "description": "name of a module -> {ref, stream, version, context, koji_tag, ...}",
                "additionalProperties": {"type": "object"},
            },
        },
        error={
            "type": ["object", "null"],
            "description": "why it failed: a code for programs, a message and a hint for people",
            "properties": {
                "code": TEXT,
                "message": TEXT,
                "hint": TEXT,
                "cause": {**TEXT, "description": "module, infrastructure or canceled"},
                "excerpt": {
                    "type": ["object", "null"],
                    "description": "lines of a component's log that explain the failure",
                },
            },
            "required": ["code", "message", "hint"],
        },
        topdir={**TEXT, "description": "address of its repositories; only in done and ready"},
    )

    @property
    def summary(self) -> str:
        """One line about the change."""
        what = "scratch build of module" if self.body["scratch"] else "module build"
        return f"{self.body['owner']}'s {what} {self.nsvc} is now {self.state_name}"

    @property
    def usernames(self) -> list[str]:
        """Names of the users that the message is about."""
        return [self.body["owner"]]

    @property
    def agent_name(self) -> str | None:
        """The owner for a new submission; None for later changes, which the service makes."""
        return self.body["owner"] if self.state_name == "init" else None
