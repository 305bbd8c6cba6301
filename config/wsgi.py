"""The WSGI application: Django."""

import gc
import os
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

import config.celery  # noqa: F401  (tasks are sent through it)
from config.preloading import preload

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
#: New objects after which the garbage collector runs. An answer with a hundred builds has thousands of
#: objects for a moment. With Python's default of 700, the collector would run in the middle of each.
MAX_YOUNG = 5000
django = get_wsgi_application()
_over_tls = settings.MBS.BASE_URL.startswith("https://")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Run Django. If BASE_URL is https, a proxy terminates TLS, and requests count as https."""
    if _over_tls:
        environ["wsgi.url_scheme"] = "https"
    return django(environ, start_response)


preload()
# Objects that exist now live as long as the process: exclude them from garbage collection.
gc.collect()
gc.freeze()
gc.set_threshold(MAX_YOUNG)
