import os

from django.conf import settings
from django.core.asgi import get_asgi_application

import config.celery  # noqa: F401  (tasks are sent through it)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_asgi_application()

from builds.api.events.asgi import Events  # noqa: E402  (what it imports needs the apps)
from builds.api.limits import BodyLimit  # noqa: E402

application = Events(BodyLimit(application, settings.MBS.BODY_LIMIT))
