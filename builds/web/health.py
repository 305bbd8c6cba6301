"""Health checks for load balancers and supervisors."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from builds.services import health
from builds.web.errors import safe_methods_only


@safe_methods_only
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200: this process runs."""
    return JsonResponse({"status": "ok"})


@safe_methods_only
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if everything that builds need is available, otherwise 503; list all checks.

    A build system that is away is named, and does not change the status: it is away for all servers.
    """
    checks = health.readiness()
    fine = all(checks[name] == "ok" for name in health.REQUIRED)
    return JsonResponse(
        {"status": "ok" if fine else "unavailable", "checks": checks}, status=200 if fine else 503
    )
