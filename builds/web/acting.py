"""Cancel, retry, rebuild or retire one or several builds, after a confirmation page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from builds.api import links
from builds.api.actions import ACTIONS, Action
from builds.api.serializers import OwnerSerializer, RebuildSerializer
from builds.models import ModuleBuild
from builds.services.auth import Identity
from builds.web.forms import form_page, logged_in
from builds.web.pages import common
from mbs.errors import InvalidInput, MBSError, NotFound
from mbs.reuse import STRATEGIES
from mbs.text import whole_number

#: Max builds in one form.
MAX_BUILDS = 50
COMPARE = "compare"


@dataclass(frozen=True)
class Outcome:
    """The result of an action on one build.

    Attributes:
        build: The build on which the action was requested.
        builds: The changed builds, or the new ones.
        error: Why the action failed.
    """

    build: ModuleBuild
    builds: Sequence[ModuleBuild] = ()
    error: MBSError | None = None


@form_page
def act(request: HttpRequest) -> HttpResponse:
    """Ask for confirmation of ``?action=`` on each ``?build=``; carry it out when the form is sent."""
    sent = request.POST if request.method == "POST" else request.GET
    numbers = _numbers(sent.getlist("build"))
    if sent.get("action") == COMPARE:
        return HttpResponseRedirect(_comparison(numbers))
    action = ACTIONS.get(sent.get("action", ""))
    if action is None:
        raise InvalidInput("There is no such action.", hint=f"Actions are {', '.join(ACTIONS)}.")
    chosen = urlencode({"action": action.name, "build": numbers}, doseq=True)
    user = logged_in(request, f"{links.prefix()}/act?{chosen}")
    if isinstance(user, HttpResponse):
        return user
    if user is not None:
        action.require(user)
    builds = _builds(numbers)
    if request.method != "POST":
        return _confirmation(request, action, builds, user)
    user = action.require(user)
    outcomes = list(_carried_out(action, builds, user, _values(request, action)))
    if len(outcomes) == 1:
        if outcomes[0].error:
            raise outcomes[0].error
        return HttpResponseRedirect(reverse("build", args=[outcomes[0].builds[0].pk]))
    done = sum(each.error is None for each in outcomes)
    values = common() | {"action": action, "outcomes": outcomes, "done": done}
    return render(request, "web/acted.html", values, status=200 if done else 409)


def _confirmation(
    request: HttpRequest, action: Action, builds: Sequence[ModuleBuild], user: Identity | None
) -> HttpResponse:
    possible = [build for build in builds if action.possible(build)]
    owners = {build.owner for build in possible}
    values = {
        "action": action,
        "possible": possible,
        "others": [build for build in builds if not action.possible(build)],
        "strategies": STRATEGIES if action.name == "rebuild" else {},
        # Without logins, the form names the owner.
        "asks_owner": user is not None and user.trusted,
        "owner": next(iter(owners)) if len(owners) == 1 else "",
        "user": user.username if user else "",
    }
    return render(request, "web/confirm.html", common() | values)


def _values(request: HttpRequest, action: Action) -> Mapping[str, Any]:
    """Return the fields of the form other than the builds, in the format of the API."""
    form = RebuildSerializer if action.name == "rebuild" else OwnerSerializer
    keys: Iterable[str] = form().fields.keys()
    sent = {key: request.POST[key] for key in keys if request.POST.get(key)}
    return form(data=sent).read()


def _carried_out(
    action: Action, builds: Sequence[ModuleBuild], user: Identity, values: Mapping[str, Any]
) -> Iterator[Outcome]:
    for build in builds:
        own = values if values.get("owner") or not user.trusted else {**values, "owner": build.owner}
        try:
            yield Outcome(build, action.carry_out(user, build, own))
        except MBSError as error:
            yield Outcome(build, error=error)


def _numbers(texts: Sequence[str]) -> list[int]:
    if not texts:
        raise InvalidInput("No build is chosen.", hint="Go back, and choose builds in the first column.")
    if len(texts) > MAX_BUILDS:
        raise InvalidInput(f"{len(texts)} builds are chosen.", hint=f"Choose at most {MAX_BUILDS}.")
    numbers = [number for text in texts if (number := whole_number(text)) is not None]
    if len(numbers) < len(texts):
        raise InvalidInput("The id of a build is not valid.")
    return list(dict.fromkeys(numbers))


def _builds(numbers: Sequence[int]) -> list[ModuleBuild]:
    found = ModuleBuild.objects.in_bulk(numbers)
    missing = [number for number in numbers if number not in found]
    if missing:
        raise NotFound(f"There is no module build {missing[0]}.", code="no_such_module_build")
    return [found[number] for number in numbers]


def _comparison(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"{links.prefix()}/builds/{numbers[0]}/compare"
    if len(numbers) != 2:
        raise InvalidInput(f"{len(numbers)} builds are chosen.", hint="Choose two to compare them.")
    return f"{links.prefix()}/compare/{min(numbers)}...{max(numbers)}"
