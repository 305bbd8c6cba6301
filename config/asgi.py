"""The whole service as an ASGI application; ``mbs-manager web`` serves it."""

from django.conf import settings

from config.wsgi import application as pages

# isort: split
from builds.api.events.asgi import Events  # what these import needs the apps
from builds.api.serving.deadlines import Deadlines
from builds.api.serving.pages import Pages
from builds.api.serving.requests import WholeRequests

_options = settings.MBS
_apart = ("/admin/login/", "/health/live", "/health/ready")
_pages = Pages(pages, _options.WEB_THREADS, _apart)
_whole = WholeRequests(_pages, _options.BODY_LIMIT, 3 * _options.CLIENT_TIMEOUT)
application = Deadlines(Events(_whole), _options.CLIENT_TIMEOUT)
