"""The callback of ``fedora-messaging consume``: ``callback = "config.consumer:consume"``."""

from __future__ import annotations

import crochet
import django

import config.celery  # noqa: F401  (sets DJANGO_SETTINGS_MODULE, and sends tasks)

django.setup()
# The consumer runs the Twisted reactor, and the publisher shares it: crochet must not start another one.
crochet.no_setup()

from builds.consumers import decoding  # noqa: E402  (models need the apps)
from builds.consumers.callback import Callback  # noqa: E402  (as above)

decoding.install()
consume = Callback()
