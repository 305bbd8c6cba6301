"""Serve the results of local builds: repositories, packages and logs, at ``/results/<path>``.

Builds run untrusted code and write below this folder. So a file is only sent if the opened file (not the
requested path) lies inside of it, is not part of a running build, and is not run by browsers.
"""

from __future__ import annotations

import mimetypes
import os
import stat
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from builds.api import links
from builds.web.errors import safe_methods_only
from buildsys.delivery import HIDDEN
from mbs.text import natural

Response = TypeVar("Response", bound=HttpResponseBase)

#: Max names on the page of a folder: a build may create any number of files.
MAX_NAMES = 2000
#: Types that browsers never run. All others are sent as plain text or as a download.
HARMLESS = frozenset({"application/json", "application/x-rpm", "application/gzip", "application/zstd"})
TEXTS = frozenset({".log", ".txt", ".yaml", ".yml", ".spec", ".xml", ".html", ".repo", ""})


class File(FileResponse):
    """A file that is read in blocks of 256 KiB."""

    block_size = 1 << 18


@safe_methods_only
def results(request: HttpRequest, path: str = "") -> HttpResponse | FileResponse:
    """Send a file, or a page that lists a folder."""
    root = Path(os.path.realpath(settings.MBS.DATA_DIR / "local"))
    parts = path.strip("/").split("/") if path.strip("/") else []
    if settings.MBS.SYSTEM != "local" or any(_hidden(part) for part in parts):
        raise Http404
    try:
        handle = os.open(root.joinpath(*parts), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise Http404 from None
    place, mode = Path(os.readlink(f"/proc/self/fd/{handle}")), os.fstat(handle).st_mode
    if stat.S_ISREG(mode) and _shown(place, root):
        return _file(handle, place.name)
    try:
        if not stat.S_ISDIR(mode) or not _shown(place, root):
            raise Http404
        with os.scandir(handle) as entries:
            shown = islice((each for each in entries if not _hidden(each.name)), MAX_NAMES + 1)
            names = sorted((f"{each.name}/" if each.is_dir() else each.name for each in shown), key=natural)
    finally:
        os.close(handle)
    folder = "/".join([links.prefix(), "results", *map(quote, parts), ""])
    context = {"folder": folder, "parts": parts, "names": names[:MAX_NAMES], "more": len(names) > MAX_NAMES}
    return _guarded(render(request, "builds/folder.html", context))


def _hidden(part: str) -> bool:
    return part in HIDDEN or part.startswith(".") or not part or "\0" in part


def _shown(place: Path, root: Path) -> bool:
    """Return whether an opened file lies in a visible folder, after all links were followed."""
    return place.is_relative_to(root) and not any(_hidden(part) for part in place.relative_to(root).parts)


def _file(handle: int, name: str) -> File:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if Path(name).suffix in TEXTS:
        kind = "text/plain; charset=utf-8"
    elif kind not in HARMLESS:
        kind = "application/octet-stream"
    return _guarded(File(os.fdopen(handle, "rb"), content_type=kind))


def _guarded(response: Response) -> Response:
    response["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    return response
