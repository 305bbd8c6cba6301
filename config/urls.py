from django.contrib import admin
from django.urls import include, path, re_path

from builds.api.views.service import failure
from builds.web import health, results
from mbs.errors import Forbidden, InvalidInput, NotFound

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
    re_path("^results/(?P<path>.*)$", results.results),
    path("", include("builds.api.urls")),
]

handler400 = failure(InvalidInput("The request cannot be read.", hint="Look at the address and the host."))
handler403 = failure(Forbidden("You may not do this."))
handler404 = failure(NotFound("There is nothing at this address."))
handler500 = failure()
