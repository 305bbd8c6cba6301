"""The ASGI application of the whole service, which ``mbs-manager web`` serves."""

from django.conf import settings

from config.wsgi import django as pages

# isort: split
from builds.api.events.asgi import EventStreams  # these need Django's apps, which config.wsgi loads
from builds.api.serving.deadlines import Deadlines
from builds.api.serving.fronts import Fronts
from builds.api.serving.requests import CompleteRequests
from builds.api.serving.wsgi import ThreadedWSGI

_options = settings.MBS
_own_threads = ("/admin/login/", "/health/live", "/health/ready")
_threaded = ThreadedWSGI(pages, _options.WEB_THREADS, _own_threads)
_whole = CompleteRequests(_threaded, _options.BODY_LIMIT, 3 * _options.CLIENT_TIMEOUT)
_in_time = Deadlines(EventStreams(_whole), _options.CLIENT_TIMEOUT)
application = Fronts(_in_time, _options.TRUSTED_FRONTS, _options.BASE_URL)
