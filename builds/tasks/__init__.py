"""Thin Celery declarations: load ids, call one function, nothing else."""

from builds.tasks import builder, sweeps, workflow

__all__ = ["builder", "sweeps", "workflow"]
