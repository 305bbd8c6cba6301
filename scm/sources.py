"""Check that the sources and patches of a spec file are where a build looks for them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from posixpath import basename, dirname
from urllib.parse import quote, urljoin, urlsplit

from scm.errors import ScmError
from scm.options import ScmOptions
from scm.specs import SourceFile
from scm.urls import has_prefix, parse_repository

_LAYOUT = "/{package}/{file}/{hashtype}/{hash}/{file}"
_OLD_LINE = re.compile(r"(?P<hash>[0-9a-fA-F]{32,128})\s+\*?(?P<file>\S.*)")
_NEW_LINE = re.compile(r"(?P<hashtype>[A-Za-z0-9]+)\s*\((?P<file>.+)\)\s*=\s*(?P<hash>[0-9a-fA-F]{32,128})")
_HASH_TYPES = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_UNRESOLVED = re.compile(r"%|\$[({]|`")
_REDIRECTS = 3


@dataclass(frozen=True)
class Upload:
    """A file in the lookaside cache that a ``sources`` file lists."""

    hashtype: str
    hash: str


def parse_sources(text: str) -> dict[str, Upload]:
    """Return file name -> upload from a ``sources`` file of either form or a ``.<package>.metadata`` file.

    The forms are ``<md5>  <file>`` and ``SHA512 (<file>) = <hash>``. Builds ignore other lines too.
    """
    uploads = {}
    for line in map(str.strip, text.splitlines()):
        match = _NEW_LINE.fullmatch(line) or _OLD_LINE.fullmatch(line)
        if match:
            digest = match["hash"].lower()
            hashtype = match.groupdict().get("hashtype") or _HASH_TYPES.get(len(digest), "md5")
            uploads[basename(match["file"])] = Upload(hashtype.lower(), digest)
    return uploads


class Lookaside(AbstractContextManager["Lookaside"]):
    """A thread-safe client for lookaside caches.

    Args:
        options: ``lookaside`` and ``http_timeout`` are used.
        ends: End of the time for requests, by the monotonic clock.
    """

    def __init__(self, options: ScmOptions, ends: float = inf) -> None:
        # This import takes a fifth of the start of a process, and most processes do not need it.
        import httpx

        self._away = httpx.HTTPError, httpx.InvalidURL
        self._addresses = dict(options.lookaside)
        self._timeout, self._ends = options.http_timeout, ends
        self._client = httpx.Client(timeout=options.http_timeout, follow_redirects=False)

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def template(self, repository: str) -> str:
        """Return the configured address of this dist-git's files, or an empty text."""
        address = parse_repository(repository)
        for prefix, template in self._addresses.items():
            if has_prefix(address, [prefix]):
                return template if "{" in template else template.rstrip("/") + _LAYOUT
        return ""

    def has(self, template: str, package: str, file: str, upload: Upload | None) -> bool | None:
        """Return whether the cache has the file; None if this cannot be determined."""
        if not template or (upload is None and "{hash" in template):
            return None
        parts = {"package": package, "file": file}
        if upload:
            parts |= {"hashtype": upload.hashtype, "hash": upload.hash}
        return self._exists(fill(template, parts))

    def _exists(self, url: str) -> bool | None:
        for _ in range(_REDIRECTS + 1):
            left = self._ends - time.monotonic()
            if left <= 0:
                return None
            try:
                status, location = self._head(url, min(left, self._timeout))
            except self._away:
                return None
            if status not in (301, 302, 303, 307, 308):
                return {200: True, 404: False, 410: False}.get(status)
            target = urljoin(url, location)
            if not location or urlsplit(target).scheme != urlsplit(url).scheme:
                return None
            url = target
        return None

    def _head(self, url: str, timeout: float) -> tuple[int, str]:
        with self._client.stream("HEAD", url, timeout=timeout) as response:
            return response.status_code, response.headers.get("location", "")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Replace each ``{name}`` by the quoted part of that name."""
    for name, value in parts.items():
        template = template.replace("{" + name + "}", quote(value, safe=""))
    return template


def check_sources(
    files: Iterable[SourceFile],
    *,
    package: str,
    committed: Iterable[str],
    uploads: Mapping[str, Upload],
    template: str,
    lookaside: Lookaside,
) -> tuple[list[ScmError], list[str]]:
    """Return faults and warnings about the sources and patches of one component.

    A component that Koji can build must not be refused. File names that only rpm can expand and files inside
    an ``%if`` therefore cause warnings.

    Args:
        committed: Paths in git.
        uploads: Files that the ``sources`` file lists.
        template: Address of the lookaside cache, or an empty text.
    """
    in_git = {basename(path) for path in committed if dirname(path) in ("", "SOURCES")}
    faults, warnings, done = [], [], set()
    for file in files:
        if file.name in done or file.name in in_git:
            continue
        done.add(file.name)
        if not file.name or _UNRESOLVED.search(file.name):
            warnings.append(f"{file.tag} is only known at build time: {file.value[:200]}")
            continue
        upload = uploads.get(file.name)
        there = lookaside.has(template, package, file.name, upload)
        if there or (upload and there is None):
            continue
        if upload:
            warnings.append(
                f"{file.tag}: {file.name} is listed in the sources file, but is not in the lookaside cache"
            )
        elif file.conditional:
            warnings.append(f"{file.tag}: {file.name}, which is inside an %if, was not found")
        else:
            faults.append(_missing(file, asked_cache=there is False))
    return faults, warnings


def _missing(file: SourceFile, *, asked_cache: bool) -> ScmError:
    return ScmError(
        f"{file.tag} ({file.name}) of the spec file is missing.",
        code="source_missing",
        tried="the files in git, the sources file" + (", the lookaside cache" if asked_cache else ""),
        hint="Commit the file, or upload it and commit the changed sources file.",
    )
