"""Show when builds are expected to be ready: texts for pages, and the queue for slots at ``/queue``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from builds.api import links
from builds.api.renderers import wants_page
from builds.models import ModuleBuild
from builds.selectors import pages, slots
from builds.selectors.forecasts import TOO_MANY, Expected, Forecast
from builds.selectors.predictions import forecast
from builds.web.errors import failure, safe_methods_only
from builds.web.time_format import Moment, duration, moment
from mbs.errors import InvalidInput
from mbs.states import ACTIVE
from mbs.text import whole_number

#: Seconds between two refreshes of the page.
_REFRESH = 5
#: Max builds on the page.
_LISTED = 100
RULE = (
    "A free slot goes to the owner with the fewest components building, and among this owner's components to "
    "the one with the longest expected build."
)


@dataclass(frozen=True)
class Outlook:
    """The prediction for a build, as texts for pages.

    Attributes:
        place: Position of its next component in the queue for slots; None if none of them waits.
        of: Length of the queue for slots.
        ready: When the build is expected to be ready.
        spread: Estimated error of ``ready``: four of five recent builds were ready within it.
    """

    place: int | None
    of: int
    ready: Moment
    spread: str

    @classmethod
    def of_build(cls, expected: Expected | None, now: datetime) -> Outlook | None:
        """Return the prediction for a build as texts, or None if there is none."""
        if expected is None:
            return None
        spread = duration(max(expected.spread, timedelta(seconds=1)))
        return cls(expected.place, expected.of, Moment(expected.ready, now), spread)

    @property
    def clock(self) -> str:
        """Return the predicted time of the end, to the minute, with the date if it is not today."""
        return self.ready.minute


def of_builds(builds: Iterable[ModuleBuild], now: datetime) -> Forecast:
    """Return the forecast; an empty one if none of these builds is active."""
    return forecast(now) if any(build.state in ACTIVE for build in builds) else Forecast(now)


@safe_methods_only
def queue(request: HttpRequest) -> HttpResponseBase:
    """Show which owners have slots or wait for them, and when builds are expected to be ready."""
    now = timezone.now()
    found = forecast(now)
    if found.crowded:
        found = replace(found, loads=slots.loads())
    if request.GET.get("as") == "json" or not wants_page(request.META.get("HTTP_ACCEPT", "")):
        try:
            response: HttpResponseBase = JsonResponse(_described(found, _chosen(request)))
        except InvalidInput as error:
            return failure(error)(request)
    else:
        response = render(request, "web/queue.html", _context(found, now))
    response["Cache-Control"] = "no-cache"
    response["Vary"] = "Accept"
    return response


def _context(found: Forecast, now: datetime) -> dict[str, object]:
    order = sorted(found.builds, key=lambda number: (found.builds[number].ready, number))[:_LISTED]
    builds = ModuleBuild.objects.only(*pages.LIST_COLUMNS).in_bulk(order)
    return {
        "api": links.root("2"),
        "seconds": _REFRESH,
        "rule": RULE,
        "forecast": found,
        "too_many": TOO_MANY if found.crowded else "",
        "made": moment(found.made, now),
        "builds": [
            (builds[number], Outlook.of_build(found.builds[number], now))
            for number in order
            if number in builds
        ],
        "more": max(len(found.builds) - _LISTED, 0),
        "next": [(each, moment(each.start, now)) for each in found.queue],
    }


def _chosen(request: HttpRequest) -> set[int]:
    """Return the ids of the requested builds; empty for all."""
    texts = request.GET.getlist("build")[:1000]
    numbers = [number for text in texts if (number := whole_number(text)) is not None]
    if len(numbers) < len(texts):
        raise InvalidInput("The value of the parameter 'build' is not valid.", hint="Write a whole number.")
    return set(numbers)


def _described(found: Forecast, chosen: set[int]) -> dict[str, object]:
    return {
        "time": found.now,
        "slots": found.slots,
        "building": found.building,
        "waiting": found.waiting,
        "rule": RULE,
        "crowded": found.crowded,
        "note": TOO_MANY if found.crowded else None,
        "made": None if found.crowded else found.made or found.now,
        "owners": [
            {"owner": load.owner, "building": load.building, "waiting": load.waiting} for load in found.loads
        ],
        "next": [
            {
                "place": each.place,
                "package": each.package,
                "build": each.build_id,
                "owner": each.owner,
                "start": each.start,
            }
            for each in found.queue
        ],
        "builds": [
            {
                "id": number,
                "place": each.place,
                "of": each.of,
                "ready": each.ready,
                "spread_seconds": round(each.spread.total_seconds(), 1),
            }
            for number, each in sorted(found.builds.items())
            if not chosen or number in chosen
        ],
    }
