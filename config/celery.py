"""The Celery application; ``celeryconfig.py`` says how it behaves."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("mbs", config_source="celeryconfig", set_as_current=True)
app.autodiscover_tasks(["builds"])
