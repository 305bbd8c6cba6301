"""For load balancers and supervisors: is this process alive, and can the service do its work?"""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from builds.services import health
from builds.web.errors import reading_only


@reading_only
def live(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"})


@reading_only
def ready(request: HttpRequest) -> JsonResponse:
    """200 when everything that builds need is there, else 503; either way each thing by name."""
    checks = health.readiness()
    fine = all(state == "ok" for state in checks.values())
    return JsonResponse(
        {"status": "ok" if fine else "unavailable", "checks": checks}, status=200 if fine else 503
    )
