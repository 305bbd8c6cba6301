"""The URLs of the service."""

from django.contrib import admin
from django.urls import include, path, re_path

from builds.web import health, pages, results
from builds.web.errors import failure, page_not_found
from mbs.errors import Forbidden

admin.autodiscover()

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready, name="ready"),
    path("", pages.front, name="front"),
    re_path(r"^builds/(?P<pk>[0-9]{1,18})/?$", pages.build, name="build"),
    re_path("^results/(?P<path>.*)$", results.results),
    path("", include("builds.api.urls")),
]

handler400 = failure()
handler403 = failure(Forbidden("You may not do this."))
handler404 = page_not_found
handler500 = failure()
