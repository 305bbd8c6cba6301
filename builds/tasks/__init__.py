"""The Celery tasks. Each takes ids and calls one function."""

from builds.tasks import builder, checks, polls, sweeps, workflow

__all__ = ["builder", "checks", "polls", "sweeps", "workflow"]
