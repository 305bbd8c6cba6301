import gc
import os
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

import config.celery  # noqa: F401  (tasks are sent through it)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_django = get_wsgi_application()
_over_tls = settings.MBS.BASE_URL.startswith("https://")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Django, told that users come over TLS where BASE_URL says so: a front ends it before this process."""
    if _over_tls:
        environ["wsgi.url_scheme"] = "https"
    return _django(environ, start_response)


# What is there now stays: the collector need not look at it again after every few requests.
gc.collect()
gc.freeze()
