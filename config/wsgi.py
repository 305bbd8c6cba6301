import gc
import os

from django.core.wsgi import get_wsgi_application

import config.celery  # noqa: F401  (tasks are sent through it)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

# What is there now stays: the collector need not look at it again after every few requests.
gc.collect()
gc.freeze()
