"""What ``fedora-messaging consume`` calls: ``callback = "config.consumer:consume"`` in its file."""

from __future__ import annotations

import crochet
import django

import config.celery  # noqa: F401  (names the settings, and is the application that tasks are sent with)

django.setup()
# The reactor that messages are published with is the one that consumes; nothing else must start it.
crochet.no_setup()

from builds.consumers import decoding  # noqa: E402  (models need the apps)
from builds.consumers.callback import Callback  # noqa: E402

decoding.install()
consume = Callback()
