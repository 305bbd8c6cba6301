"""What local builds left behind: repositories, packages and logs, at ``/results/<path>``.

Builds are strangers' code and write into folders below the one that is shown. So nothing outside of it is
ever sent (the file that was opened is looked at, not the path that was asked for), nothing that is still
being worked on, and nothing that a browser would run.
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
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from builds.web.errors import reading_only
from mbs.text import natural

Response = TypeVar("Response", HttpResponse, FileResponse)

#: folders in which builds run, or that the service keeps for itself
HIDDEN = frozenset({"work", "views", "lock"})
#: Names on the page of a folder: a build may leave any number of files.
MOST_NAMES = 2000
#: types that a browser shows without running anything; all others are sent as plain text or for saving
HARMLESS = frozenset({"application/json", "application/x-rpm", "application/gzip", "application/zstd"})
TEXTS = frozenset({".log", ".txt", ".yaml", ".yml", ".spec", ".xml", ".html", ".repo", ""})


class File(FileResponse):
    """Its ``block_size`` is in memory at a time."""

    block_size = 1 << 18


@reading_only
def results(request: HttpRequest, path: str = "") -> HttpResponse | FileResponse:
    """A file, or a list of what is in a folder."""
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
            shown = islice((each for each in entries if not _hidden(each.name)), MOST_NAMES + 1)
            names = sorted((f"{each.name}/" if each.is_dir() else each.name for each in shown), key=natural)
    finally:
        os.close(handle)
    folder = "/".join(["", "results", *map(quote, parts), ""])
    context = {"folder": folder, "parts": parts, "names": names[:MOST_NAMES], "more": len(names) > MOST_NAMES}
    return _guarded(render(request, "builds/folder.html", context))


def _hidden(part: str) -> bool:
    return part in HIDDEN or part.startswith(".") or not part or "\0" in part


def _shown(place: Path, root: Path) -> bool:
    """Whether a file that was opened lies where it may be seen, after all links were followed."""
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
