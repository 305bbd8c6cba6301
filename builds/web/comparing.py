"""Serve the page that compares two builds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from builds.api import links
from builds.api.views.modules import ModuleBuildViewSet
from builds.clients import client_at
from builds.models import ModuleBuild
from builds.services import comparison
from builds.shapes.comparison import RpmDifferences
from builds.web.forms import form_page
from builds.web.pages import common, page
from mbs import side_by_side
from mbs.errors import InvalidInput, NotFound

#: Max RPMs to show of each kind.
MAX_ROWS = 300
_json = ModuleBuildViewSet.as_view({"get": "compare"})


def _answer(request: HttpRequest, version: str, old: str, new: str) -> HttpResponse:
    """Return the comparison as JSON, for programs."""
    return _json(request, version=version, pk=new, other=old)


@page(_answer)
def compare(request: HttpRequest, old: str, new: str) -> HttpResponse:
    """Show the differences of two builds; ``?document=`` shows a document of both side by side."""
    before, now = _build(old), _build(new)
    asked = request.GET.get("document", "")
    if asked and asked not in comparison.DOCUMENTS:
        raise InvalidInput(
            f"There is no document {asked[:40]!r}.", hint=f"Documents are {', '.join(comparison.DOCUMENTS)}."
        )
    values: dict[str, Any] = {
        "old": before,
        "new": now,
        "asked": asked,
        "documents": comparison.DOCUMENTS,
        "address": f"{links.prefix()}/compare/{before.pk}...{now.pk}",
    }
    if asked:
        values |= _document(before, now, asked)
    else:
        everything = request.GET.get("all") == "1"
        found = comparison.compare(
            before, now, everything=everything, client=client_at(request.META.get("REMOTE_ADDR", ""))
        )
        values |= {
            "components": found["components"],
            "unchanged": found["unchanged"],
            "everything": everything,
            "more_components": found["more_components"],
            "reading_commits": found["reading_commits"],
            "counts": list(Counter(each["change"] for each in found["components"]).items()),
            "buildrequires": found["buildrequires"],
            "rpms": found["rpms"],
            **_known(found["rpms"]),
            "most": f":{MAX_ROWS}",
        }
    return render(request, "web/compare.html", common() | values)


@form_page
def compare_with_former(request: HttpRequest, pk: str) -> HttpResponse:
    """Redirect to the comparison with the last ready build of the stream."""
    build = _build(pk)
    former = comparison.former(build)
    if former is None:
        raise NotFound(
            f"There is no ready build of {build.nsvc.ns} before build {build.pk}.",
            hint="Choose two builds in a list to compare them.",
        )
    return HttpResponseRedirect(f"{links.prefix()}/compare/{former.pk}...{build.pk}")


def _build(number: str) -> ModuleBuild:
    build = ModuleBuild.objects.filter(pk=int(number)).first()
    if build is None:
        raise NotFound(f"There is no module build {number}.", code="no_such_module_build")
    return build


def _document(old: ModuleBuild, new: ModuleBuild, name: str) -> Mapping[str, Any]:
    """Return the rows of a document side by side, or the reason why there are none."""
    texts = comparison.documents(old)[name], comparison.documents(new)[name]
    lacking = [str(build.pk) for build, text in zip((old, new), texts, strict=True) if not text]
    if lacking:
        return {"lacking": f"The {name} document of build {' and of build '.join(lacking)} is not recorded."}
    if not side_by_side.comparable(*texts):
        return {"lacking": f"The documents have more than {side_by_side.MAX_LINES} lines."}
    return {"rows": side_by_side.rows(*texts)}


def _known(rpms: RpmDifferences | None) -> dict[str, bool]:
    """Return whether sizes are recorded, whether all are unknown, and whether dependencies changed."""
    if rpms is None:
        return {}
    sizes = [each["size"] for each in (*rpms["added"], *rpms["removed"])]
    sizes += [each["new_size"] for each in rpms["changed"]]
    return {
        "sized": any(size is not None for size in sizes),
        "unsized": bool(sizes) and all(size is None for size in sizes),
        "related": any(each["requires"] or each["provides"] for each in rpms["changed"]),
    }
