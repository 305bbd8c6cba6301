import gc
import os

from django.conf import settings
from django.core.asgi import get_asgi_application

import config.celery  # noqa: F401  (tasks are sent through it)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Each request is served by a thread of its own: what that connects to the database with is of no use to the
# next one, and would stay open until it is collected as garbage.
settings.DATABASES["default"]["CONN_MAX_AGE"] = 0
application = get_asgi_application()

from builds.api.events.asgi import Events  # noqa: E402  (what it imports needs the apps)
from builds.api.limits import BodyLimit  # noqa: E402

application = Events(BodyLimit(application, settings.MBS.BODY_LIMIT))

# What is there now stays: the collector need not look at it again after every few requests.
gc.collect()
gc.freeze()
