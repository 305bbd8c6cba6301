"""Sweeps as Celery tasks. ``celeryconfig`` sets their intervals and queues."""

from __future__ import annotations

from celery import shared_task

from builds.workflow import sweeps


def _declare(name: str) -> None:
    @shared_task(name=f"sweep.{name}")
    def sweep(every: float = 0) -> None:
        sweeps.run(name, every)


for _name in sweeps.SWEEPS:
    _declare(_name)
