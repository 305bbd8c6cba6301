"""Thin Celery declarations: load ids, call one function, nothing else."""

from builds.tasks import builder, checks, sweeps, workflow

__all__ = ["builder", "checks", "sweeps", "workflow"]
