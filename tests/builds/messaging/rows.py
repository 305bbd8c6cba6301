"""Rows of the outbox."""

from __future__ import annotations

from builds.models import OutboxMessage


def changes(count: int) -> list[OutboxMessage]:
    """Messages about as many components."""
    body = {
        "package": "bash",
        "nvr": None,
        "task_id": 1,
        "state": 0,
        "state_name": "BUILDING",
        "state_reason": None,
        "module_build": 1,
        "name": "m",
        "stream": "s",
        "version": "1",
        "context": "c",
    }
    return [
        OutboxMessage(topic="mbs.component.state.change", body={"id": number, **body})
        for number in range(count)
    ]
