"""The URLs of the service."""

from django.contrib import admin
from django.urls import include, path, re_path

from builds.web import (
    acting,
    comparing,
    event_stream,
    feeds,
    forecasts,
    health,
    log_tail,
    login,
    logs,
    modules,
    pages,
    provider_login,
    results,
    search,
    searches,
    submitting,
)
from builds.web.errors import failure, page_not_found
from mbs.errors import Forbidden

admin.autodiscover()

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready, name="ready"),
    path("", pages.front, name="front"),
    re_path(r"^builds/(?P<pk>[0-9]{1,18})/?$", pages.build, name="build"),
    re_path(r"^builds/(?P<pk>[0-9]{1,18})/compare/?$", comparing.compare_with_former),
    re_path(r"^compare/(?P<old>[0-9]{1,18})\.\.\.(?P<new>[0-9]{1,18})/?$", comparing.compare),
    re_path(r"^search/?$", search.search, name="search"),
    re_path(r"^searches/?$", searches.searches, name="searches"),
    re_path(r"^modules/(?P<name>[^/\0]{1,255})/?$", modules.module),
    re_path(r"^modules/(?P<name>[^/\0]{1,255})/(?P<stream>[^/\0]{1,255})/?$", modules.stream),
    re_path(r"^act/?$", acting.act),
    re_path(r"^submit/?$", submitting.submit, name="submit"),
    path("login", login.login, name="login"),
    path("login/provider", provider_login.begin, name="provider-login"),
    path("login/callback", provider_login.callback),
    re_path(r"^logout/?$", login.logout, name="logout"),
    re_path(r"^builds/(?P<pk>[0-9]{1,18})/(?P<package>[^/]{1,255})/log/?$", logs.log, name="log"),
    re_path(r"^builds/(?P<pk>[0-9]{1,18})/(?P<package>[^/]{1,255})/log/events/?$", log_tail.events),
    re_path("^events/?$", event_stream.events),
    path("feeds/builds.atom", feeds.builds),
    re_path("^queue/?$", forecasts.queue, name="queue"),
    re_path("^results/(?P<path>.*)$", results.results),
    path("", include("builds.api.urls")),
]

handler400 = failure()
handler403 = failure(Forbidden("You may not do this."))
handler404 = page_not_found
handler500 = failure()
