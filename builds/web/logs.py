"""Serve the log of a component at ``/builds/<id>/<package>/log``, as a page, text or JSON."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render

from builds.api import links
from builds.api.renderers import wants_page
from builds.models import ComponentBuild
from builds.services.logs import searching
from builds.services.logs.components import component, log_of, logs_of
from builds.services.logs.lines import Window, index_of, window_from, window_until
from builds.services.logs.reading import PIECE, Log
from builds.shapes.lists import LogList
from builds.web.errors import failure, safe_methods_only
from builds.web.log_html import Group, Style, groups, text_html
from builds.web.timeline import state_word
from mbs.errors import InvalidInput, MBSError
from mbs.states import ComponentState

#: Max seconds to count lines for a page, to count up to a requested line, and to search.
_GLANCE, _FIND, _SEARCH = 0.03, 2.0, 1.5
#: Lines to show before a requested line.
_CONTEXT = 20
_MAX_NAME = 400
_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))")


@safe_methods_only
def log(request: HttpRequest, pk: str, package: str) -> HttpResponseBase:
    """Return a log in the format that the client accepts."""
    accept = request.META.get("HTTP_ACCEPT", "")
    try:
        row = component(int(pk), package)
        if wants_page(accept) and "raw" not in request.GET:
            response: HttpResponseBase = _page(request, row)
        elif "application/json" in accept:
            response = _described(request, row)
        else:
            response = _text(request, row)
    except MBSError as error:
        return failure(error)(request)
    response["Cache-Control"] = "no-cache"
    response["Vary"] = "Accept"
    return response


# -- for programs ------------------------------------------------------------------------------------------


def _described(request: HttpRequest, row: ComponentBuild) -> JsonResponse:
    """Return the list of logs, and the size of the requested one, as JSON."""
    found = logs_of(row)
    name = _name(request) or found.first
    read = log_of(row, name).look() if name else None
    answer: LogList = {
        "module_build": row.module_build_id,
        "component_build": row.pk,
        "package": row.package,
        "task_id": row.task_id,
        "state": row.state,
        "state_name": row.state_name,
        "name": name,
        "logs": [{"name": each.name, "label": each.label} for each in found.files],
        "size": read.size if read else 0,
        "complete": read.complete if read else row.settled,
    }
    return JsonResponse(answer)


#: Max downloads of a process that keep a piece of their log: 64 MiB. Further ones depend on the shared cache.
_keepers = threading.Semaphore(64)


class _Stream:
    """A log, or a range of it, as a file object.

    It keeps the piece that it is in: slow clients take small parts, and each piece is read from the build
    system once, however many other downloads use the shared cache.
    """

    def __init__(self, read: Log, start: int, stop: int) -> None:
        self._log, self._place, self._stop = read, start, stop
        self._keeps = _keepers.acquire(blocking=False)
        self._kept: tuple[int, bytes] | None = None

    def read(self, size: int = PIECE) -> bytes:
        """Return the next bytes of one piece; none at the end."""
        if self._place >= self._stop:
            return b""
        number, offset = divmod(self._place, PIECE)
        piece = self._kept[1] if self._kept and self._kept[0] == number else self._log.piece(number)
        if self._keeps:
            self._kept = (number, piece)
        data = piece[offset : offset + min(size, self._stop - self._place)]
        self._place += len(data)
        return data

    def close(self) -> None:
        """Let another download keep a piece."""
        self._kept = None
        if self._keeps:
            self._keeps = False
            _keepers.release()


def _text(request: HttpRequest, row: ComponentBuild) -> HttpResponseBase:
    """Return the bytes of a log, or a range of them (RFC 9110, section 14)."""
    read = log_of(row, _name(request) or logs_of(row).first).look()
    asked = _RANGE.fullmatch(request.META.get("HTTP_RANGE", ""))
    start, stop = _number(request, "from") or 0, read.size
    if asked and asked[3]:
        start = max(read.size - int(asked[3]), 0)
    elif asked and asked[1]:
        start, stop = int(asked[1]), min(int(asked[2] or read.size) + 1, read.size)
    if asked and start >= stop:
        response: HttpResponseBase = HttpResponse(
            status=416, headers={"Content-Range": f"bytes */{read.size}"}
        )
    else:
        start = min(start, stop)
        response = FileResponse(
            _Stream(read, start, stop), content_type="text/plain; charset=utf-8", status=206 if asked else 200
        )
        response["Content-Length"] = str(stop - start)
        if asked:
            response["Content-Range"] = f"bytes {start}-{stop - 1}/{read.size}"
    response["Accept-Ranges"] = "bytes"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


# -- for browsers ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Address:
    """URLs of the page of one log."""

    path: str
    name: str

    def to(self, **query: object) -> str:
        """Return the URL with a query."""
        return f"{self.path}?{urlencode({'name': self.name, **query})}"

    @property
    def stem(self) -> str:
        """Return the URL to which the number of a line is appended."""
        return f"{self.to()}&"


def _page(request: HttpRequest, row: ComponentBuild) -> HttpResponse:
    found = logs_of(row)
    name = _name(request) or found.first
    context = {
        "row": row,
        "build": row.module_build,
        "state": state_word(row),
        "failed": row.state in (ComponentState.FAILED, ComponentState.CANCELED),
        "address": _path(row),
        "events": f"{links.root('2')}module-builds/{row.module_build_id}/events",
        "files": [(each, each.name == name) for each in found.files],
        "name": name,
    }
    if name:
        context |= _shown(request, row, _Address(_path(row), name))
    return render(request, "web/log.html", context)


def _shown(request: HttpRequest, row: ComponentBuild, at: _Address) -> dict[str, object]:
    """Return template variables for the shown lines: a window of the log, or the results of a search."""
    read = log_of(row, at.name).look()
    index = index_of(read)
    index.count(read, read.size, time.monotonic() + _GLANCE)
    phases = index.phases(read)
    shared = {
        "size": read.size,
        "complete": read.complete,
        "phases": [(each.name, f"{at.to(line=each.line)}#L{each.line}", each.line) for each in phases],
        "raw": at.to(raw=1),
        "begin": at.to(**{"from": 0}),
        "end": f"{at.to(until=read.size)}#end",
        "query": request.GET.get("q", "")[: searching.MAX_TEXT],
    }
    if shared["query"]:
        return shared | _searched(request, read, at, str(shared["query"]))
    window, missing = _window(request, read, row)
    before = [each.name for each in phases if each.offset < window.start <= index.counted + PIECE]
    shown = groups(window.lines, Style(), at.stem, before[-1] if before else "")
    ends = window.stop >= read.size or not read.read(window.stop, window.stop + PIECE).count(b"\n")
    number = index.number(read, window.stop)
    chosen = any(key in request.GET for key in ("line", "from", "until"))
    return shared | {
        "groups": _folded(shown, row.state == ComponentState.FAILED and not chosen),
        "missing": missing,
        "earlier": at.to(until=window.start) if window.start else "",
        "later": "" if ends else at.to(**{"from": window.stop}),
        "tail": _tail(row, at, window.stop, number) if ends and not read.complete else "",
    }


def _window(request: HttpRequest, read: Log, row: ComponentBuild) -> tuple[Window, int | None]:
    """Return the lines to show, and the number of the requested line if it was not found."""
    index = index_of(read)
    if line := _number(request, "line"):
        deadline = time.monotonic() + _FIND
        offset = index.find(read, line, deadline)
        if offset is None:
            return window_until(read, read.size), line
        first = window_from(read, 0)
        if offset < first.stop:
            return first, None
        return window_from(read, index.find(read, max(line - _CONTEXT, 1), deadline) or offset), None
    if (start := _number(request, "from")) is not None:
        return window_from(read, min(start, read.size)), None
    if (stop := _number(request, "until")) is not None:
        return window_until(read, stop), None
    if row.state == ComponentState.COMPLETE:
        return window_from(read, 0), None
    return window_until(read, read.size), None


def _folded(shown: Sequence[Group], fold: bool) -> list[tuple[Group, bool]]:
    """Return groups, each with whether it is open; of a failed build only the last phase is open."""
    last = len(shown) - 1
    return [(group, not (fold and group.phase and place < last)) for place, group in enumerate(shown)]


def _searched(request: HttpRequest, read: Log, at: _Address, text: str) -> dict[str, object]:
    start = _number(request, "from") or 0
    found = searching.search(read, text, start, time.monotonic() + _SEARCH)
    hits = [
        (
            line,
            f"{at.to(line=line.number)}#L{line.number}" if line.number else at.to(**{"from": line.offset}),
            text_html(line.data, Style()),
        )
        for line in found.lines
    ]
    return {
        "searched": True,
        "hits": hits,
        "start": start,
        "stop": found.stop,
        "on": "" if found.over else at.to(q=text, **{"from": found.stop}),
    }


def _tail(row: ComponentBuild, at: _Address, offset: int, number: int | None) -> str:
    """Return the address of the stream of new lines."""
    query = {"name": at.name, "task": row.task_id, "from": offset, "line": number or 0}
    return f"{at.path}/events?{urlencode(query)}"


def _path(row: ComponentBuild) -> str:
    return f"{links.prefix()}/builds/{row.module_build_id}/{quote(row.package, safe='')}/log"


def _name(request: HttpRequest) -> str:
    return request.GET.get("name", "")[:_MAX_NAME].replace("\0", "")


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise InvalidInput(
            f"The value of the parameter {name!r} is not valid.",
            hint="Write a whole number of up to 15 digits.",
        )
    return int(text)
