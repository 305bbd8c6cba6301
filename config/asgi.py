"""The ASGI application of the whole service, which ``mbs-manager web`` serves."""

from django.conf import settings

from config.wsgi import django as pages

# isort: split
from builds.api.events.asgi import EventStreams  # these need Django's apps, which config.wsgi loads
from builds.api.events.everything import AllEvents
from builds.api.serving.deadlines import Deadlines
from builds.api.serving.fronts import Fronts
from builds.api.serving.requests import CompleteRequests
from builds.api.serving.wsgi import ThreadedWSGI
from builds.web.log_tail import LogTails

_options = settings.MBS
_logins = ("/admin/login/", "/login", "/login/provider", "/login/callback")
_metrics = "/module-build-service/[^/]+/monitor/metrics/?"
_own_threads = (*_logins, "/health/live", "/health/ready", _metrics)
_threaded = ThreadedWSGI(pages, _options.WEB_THREADS, _own_threads)
_whole = CompleteRequests(_threaded, _options.BODY_LIMIT, 3 * _options.CLIENT_TIMEOUT)
_streams = EventStreams(AllEvents(LogTails(_whole)))
_in_time = Deadlines(_streams, _options.CLIENT_TIMEOUT)
application = Fronts(_in_time, _options.TRUSTED_FRONTS, _options.BASE_URL)
