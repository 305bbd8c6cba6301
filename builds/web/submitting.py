"""Serve the form that submits a module: it shows the plan first, with a button that submits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from builds.api.errors import status_of
from builds.api.parameters import FLAGS
from builds.api.permissions import require_submitter
from builds.api.serializers import SubmissionSerializer
from builds.api.submissions import submission_request
from builds.services import health
from builds.services.auth import Identity
from builds.services.plan import plan
from builds.services.submission import submit as record
from builds.web.forms import form_page, logged_in
from builds.web.pages import common
from mbs.errors import MBSError
from mbs.reuse import STRATEGIES

#: Max builds and components of a plan to show.
MAX_BUILDS, MAX_COMPONENTS = 20, 300


@dataclass(frozen=True)
class Field:
    """One input of the form: a key of a submission, with its value."""

    name: str
    label: str
    kind: str
    value: str = ""
    choices: Mapping[str, str] | None = None
    fault: str = ""
    help: str = ""


_FIELDS = (
    Field("scmurl", "Address of the module", "url", help="https://host/path?#COMMIT"),
    Field("branch", "Branch", "text", help="Branch that contains the commit; it becomes the stream"),
    Field("modulemd", "Or its modulemd file", "textarea", help="Content of the file, instead of an address"),
    Field("scratch", "Scratch build", "checkbox", help="A trial build that other modules cannot use"),
    Field("rebuild_strategy", "Rebuild strategy", "select", choices=STRATEGIES),
    Field("reuse_components_from", "Reuse components from", "text", help="Id or N:S:V:C of a build"),
    Field(
        "buildrequire_overrides",
        "Streams to build against",
        "text",
        help='Streams that override those in the document, as JSON: {"platform": ["f28"]}',
    ),
)
_OWNER = Field("owner", "Owner", "text", help="Owner of the build, because this server has no logins")


@form_page
def submit(request: HttpRequest) -> HttpResponse:
    """Show the form. The first form shows the plan; the second one, on the page of the plan, submits."""
    user = logged_in(request)
    if isinstance(user, HttpResponse):
        return user
    if request.method != "POST":
        if user is not None:
            require_submitter(user)
        return _form(request, user, request.GET)
    names = [field.name for field in _fields(user)]
    sent = {name: request.POST[name] for name in names if request.POST.get(name)}
    try:
        wanted = submission_request(require_submitter(user), SubmissionSerializer(data=sent).read())
        if "confirmed" in request.POST:
            health.require_broker()
            builds = record(wanted)
            address = reverse("build", args=[builds[0].pk]) if len(builds) == 1 else reverse("front")
            return HttpResponseRedirect(address)
        found = plan(wanted).as_dict()
    except MBSError as error:
        return _form(request, user, sent, error=error)
    # Submit exactly the revision whose plan is shown.
    confirmed = sent | ({"scmurl": found["scmurl"]} if found["scmurl"] else {})
    return _form(request, user, sent, plan=found, confirmed=confirmed)


def _fields(user: Identity | None) -> tuple[Field, ...]:
    return (*_FIELDS, _OWNER) if user is not None and user.trusted else _FIELDS


def _form(
    request: HttpRequest,
    user: Identity | None,
    typed: Mapping[str, str],
    *,
    error: MBSError | None = None,
    plan: Mapping[str, Any] | None = None,
    confirmed: Mapping[str, str] | None = None,
) -> HttpResponse:
    faults = {problem.key: problem.message for problem in error.problems} if error else {}
    fields = [
        Field(
            field.name,
            field.label,
            field.kind,
            _value(field, typed),
            field.choices,
            faults.get(field.name, ""),
            field.help,
        )
        for field in _fields(user)
    ]
    values = {
        "fields": fields,
        "error": error,
        "problems": [each for each in error.problems if each.key not in typed] if error else [],
        "plan": plan,
        "confirmed": confirmed or {},
        "builds": plan["builds"][:MAX_BUILDS] if plan else [],
        "more": max(0, len(plan["builds"]) - MAX_BUILDS) if plan else 0,
        "rejected": list(dict.fromkeys(each["message"] for each in plan["rejected"]))[:MAX_BUILDS]
        if plan
        else [],
        "most": f":{MAX_COMPONENTS}",
        "strategy": settings.MBS.REBUILD_STRATEGY,
    }
    status = status_of(error) if error else 200
    return render(request, "web/submit.html", common() | values, status=status)


def _value(field: Field, typed: Mapping[str, str]) -> str:
    text = str(typed.get(field.name, ""))
    if field.kind == "checkbox":
        return "true" if FLAGS.get(text.lower()) else ""
    return text
