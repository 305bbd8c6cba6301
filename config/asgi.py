from django.conf import settings

from config.wsgi import application as pages

# isort: split
from builds.api.asgi import Pages, WholeRequests  # what it imports needs the apps
from builds.api.events.asgi import Events

_threads = Pages(pages, settings.MBS.WEB_THREADS, files=("/results/", settings.STATIC_URL))
application = Events(WholeRequests(_threads, settings.MBS.BODY_LIMIT))
