"""HTML pages of the API for browsers, with forms that send requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request, override_method
from rest_framework.utils.breadcrumbs import get_breadcrumbs

from builds.api import links
from builds.api.parameters import FLAGS
from builds.api.renderers import PAGE, JSONRenderer
from builds.api.serializers import StructuredField
from mbs.errors import MBSError
from mbs.nsvc import NSVC

#: Action of a view -> label of the button that sends its form.
BUTTONS = {
    "partial_update": "Cancel the build",
    "retry": "Retry",
    "rebuild": "Rebuild",
    "destroy": "Revoke",
    "plan_rebuild": "Show the plan",
    "retire": "Retire",
}
#: Error codes after which a form is shown empty: its values come from another site, or were not read.
NOT_SHOWN_AGAIN = {"foreign_origin", "body_too_large", "length_required"}


@dataclass(frozen=True)
class Input:
    """One input of a form.

    Attributes:
        kind: text, textarea, checkbox, file or number.
        value: The current value. A checkbox is checked when it is not empty.
        fault: Why the value was refused; empty if it was not.
    """

    name: str
    kind: str
    value: str
    help: str
    fault: str


@dataclass(frozen=True)
class Form:
    """A form of a page.

    Browsers send POST themselves; ``static/web/api.js`` sends the other methods.
    """

    method: str
    title: str
    button: str
    inputs: list[Input]
    sent: bool


@dataclass(frozen=True)
class Entry:
    """A build in the answer, with links to its page and to its JSON."""

    name: str
    state: str
    page: str
    item: str


class PageRenderer(BaseRenderer):
    """Render an answer as a page: its builds, its JSON, and the filters, forms and links of the view."""

    media_type = "text/html"
    format = PAGE
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the page for the data of an answer."""
        context = renderer_context or {}
        view, request, response = context["view"], context["request"], context["response"]
        failed = response.exception
        values = {
            "name": view.get_view_name(),
            "description": view.get_view_description(),
            "breadcrumbs": get_breadcrumbs(request.path, request),
            "request": request,
            "response": response,
            "failure": data if failed else None,
            "meta": data.get("meta") if isinstance(data, dict) else None,
            "entries": [] if failed else list(_entries(data, request)),
            "links": {} if failed else _links(view),
            "filters": _filters(view, request),
            "forms": list(_forms(view, request, data if failed else {})),
            "content": JSONRenderer().render(data, None, {"indent": 4}).decode(),
        }
        return render_to_string("builds/api.html", values, request=request)


def _entries(data: Any, request: Request) -> Iterator[Entry]:
    """Yield the builds and API tokens among the rows of an answer."""
    rows = data.get("items", [data]) if isinstance(data, dict) else data or []
    api = links.path(request)
    for row in rows:
        number = row.get("id")
        if "package" in row and "module_build" in row:
            page, item = row["module_build"], f"{api}component-builds/{number}"
            name = row["package"]
        elif "stream" in row and "context" in row:
            page, item = number, f"{api}module-builds/{number}"
            name = str(NSVC.of(row))
        elif "time_revoked" in row:
            item = f"{api}tokens/{number}"
            yield Entry(row["name"], "revoked" if row["time_revoked"] else "valid", item, item)
            continue
        else:
            continue
        canceled = (row.get("error") or {}).get("code") == "canceled"
        state = "canceled" if canceled else str(row.get("state_name") or "").lower()
        yield Entry(name, state, f"{links.prefix()}/builds/{page}", item)


def _links(view: Any) -> dict[str, str]:
    """Return the addresses that belong to an item, by name."""
    links: dict[str, str] = view.get_extra_action_url_map()
    return links


def _filters(view: Any, request: Request) -> Any:
    """Return the form that filters a list, or None."""
    if view.action != "list" or not hasattr(view, "filterset_class"):
        return None
    return view.filterset_class(request.query_params, view.queryset, request=request, complete=True).form


def _forms(view: Any, request: Request, failure: Mapping[str, Any]) -> Iterator[Form]:
    """Yield the forms of an address.

    A form whose request was refused keeps its values and shows the reasons.
    """
    for method in ("POST", "PATCH", "DELETE"):
        if method not in view.allowed_methods:
            continue
        refused = request.method == method and bool(failure)
        typed = _typed(request) if refused and failure["code"] not in NOT_SHOWN_AGAIN else {}
        faults = {
            problem["key"]: problem["message"]
            for problem in failure.get("problems", ())
            if refused and problem.get("key")
        }
        with override_method(view, request, method):
            handler = getattr(view, view.action)
            title = (handler.__doc__ or view.get_view_description()).strip().partition("\n")[0]
            inputs = [
                _input(name, field, typed, faults.get(name, ""))
                for name, field in (view.get_serializer().fields.items() if method != "DELETE" else ())
            ]
            yield Form(method, title, BUTTONS.get(view.action, "Submit"), inputs, refused)


def _typed(request: Request) -> Mapping[str, Any]:
    """Return the values that the form sent, or nothing if the body cannot be read."""
    try:
        data = request.data
    except (MBSError, APIException):
        return {}
    return data if isinstance(data, Mapping) else {}


def _input(name: str, field: Any, typed: Mapping[str, Any], fault: str) -> Input:
    value, help_text = typed.get(name, field.initial), str(field.help_text or "")
    match field:
        case serializers.FileField():
            return Input(name, "file", "", help_text, fault)
        case serializers.BooleanField():
            return Input(name, "checkbox", "on" if FLAGS.get(str(value).lower()) else "", help_text, fault)
        case StructuredField():
            kind = "textarea"
        case serializers.IntegerField():
            kind = "number"
        case _:
            kind = "textarea" if field.style else "text"
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return Input(name, kind, text, help_text, fault)
