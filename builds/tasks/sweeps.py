"""Periodic work as Celery tasks, on the queue ``sweeps``; ``celeryconfig.beat_schedule`` says how often."""

from __future__ import annotations

from functools import partial

from celery import shared_task

from builds.workflow import sweeps

for _name in sweeps.SWEEPS:
    shared_task(name=f"sweep.{_name}")(partial(sweeps.run, _name))
