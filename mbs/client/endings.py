"""Describe the end of a build: how to install the module, or why the build failed and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mbs.client.snapshot import Build, Excerpt
from mbs.states import BuildState


def ending(build: Build, server: str) -> Iterator[str]:
    """Yield lines that describe the end of a build; none while the build is active.

    Args:
        build: The build.
        server: URL of the service, without a slash at its end.
    """
    if build.state == BuildState.FAILED:
        if build.excerpt:
            yield from shown_excerpt(build.excerpt)
            if build.excerpt.path.startswith("/"):
                yield f"In the log: {_address(server, build.excerpt.path)}"
        yield from _next(build)
    elif build.succeeded and build.repository_url:
        yield f"{build.nsvc} is in the repository {build.repository_url}"
        if build.install:
            yield "As root, on a machine that it was built for:"
            yield from (f"  {command}" for command in build.install)
        elif not build.scratch:
            yield f"This is not the repository of its stream. The page says why: {server}/builds/{build.id}"


def shown_excerpt(excerpt: Excerpt) -> Iterator[str]:
    """Yield lines that show a part of a log."""
    where = f"{excerpt.log}, line {excerpt.line}" if excerpt.line else excerpt.log
    yield f"Why {excerpt.component} failed ({where}):"
    for place, line in enumerate(excerpt.lines):
        number = None if excerpt.first_line is None else excerpt.first_line + place
        mark = ">" if number is not None and number == excerpt.line else " "
        yield f"{mark} {'' if number is None else number:>6}  {line}".rstrip()


def _address(server: str, path: str) -> str:
    """Return the URL of a path on a server, which may be below a path prefix that the path repeats."""
    prefix = urlsplit(server).path
    return f"{server}{path.removeprefix(prefix) if path.startswith(f'{prefix}/') else path}"


def _next(build: Build) -> Iterator[str]:
    again = f"`mbs retry {build.id}`"
    if build.cause == "infrastructure":
        yield f"Next: {again}. The build system failed, not the module."
    elif build.cause == "canceled":
        yield f"Next: {again} builds the missing components."
    elif build.cause == "module":
        yield f"Next: commit the fix and submit the new commit. {again} builds the same commits again."
