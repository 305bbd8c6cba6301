"""Arguments and options of a submission, for ``mbs submit`` and ``mbs plan``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from mbs.client.rest import Json
from mbs.errors import InvalidInput

_OPTIONS = (
    click.argument("source"),
    click.option("--branch", help="Branch of the commit; required for a commit address."),
    click.option("--scratch", is_flag=True, help="Scratch build: a trial that other modules cannot use."),
    click.option(
        "--buildrequire-override",
        "buildrequire_overrides",
        multiple=True,
        metavar="NAME:STREAM",
        help="Build against this stream. Repeatable.",
    ),
    click.option(
        "--require-override",
        "require_overrides",
        multiple=True,
        metavar="NAME:STREAM",
        help="Require this stream at run time. Repeatable.",
    ),
    click.option(
        "--ref-override",
        "ref_overrides",
        multiple=True,
        metavar="COMPONENT:REF",
        help="Build a component from this branch or commit. Repeatable.",
    ),
    click.option(
        "--rebuild-strategy", help="Which components to reuse: changed-and-after, only-changed or all (none)."
    ),
    click.option(
        "--reuse-components-from", metavar="ID|N:S:V:C", help="Reuse unchanged components of this build."
    ),
    click.option("--module-name", help="Name of the module; only with a YAML file."),
    click.option("--module-stream", help="Stream of the module; only with a YAML file."),
    click.option("--side-tag", help="Side tag to build in."),
    click.option("--srpm", "srpms", multiple=True, help="Uploaded source RPM (cli-build/...). Repeatable."),
)
_NAMES = (
    "source",
    "branch",
    "scratch",
    "buildrequire_overrides",
    "require_overrides",
    "ref_overrides",
    "rebuild_strategy",
    "reuse_components_from",
    "module_name",
    "module_stream",
    "side_tag",
    "srpms",
)


def submission_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and the options of a submission, and pass the request ``body`` instead."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return command(*args, body=_body(**{name: kwargs.pop(name) for name in _NAMES}), **kwargs)

    decorated: Callable[..., Any] = wrapped
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _body(
    source: str,
    buildrequire_overrides: Sequence[str],
    require_overrides: Sequence[str],
    ref_overrides: Sequence[str],
    srpms: Sequence[str],
    scratch: bool,
    **texts: str | None,
) -> Json:
    body: Json = {key: value for key, value in texts.items() if value}
    body |= read_source(source)
    for key, pairs in (
        ("buildrequire_overrides", buildrequire_overrides),
        ("require_overrides", require_overrides),
    ):
        if pairs:
            body[key] = streams(pairs)
    if ref_overrides:
        body["rpm_component_ref_overrides"] = dict(pair(text, "COMPONENT:REF") for text in ref_overrides)
    if srpms:
        body["srpms"] = list(srpms)
    if scratch:
        body["scratch"] = True
    return body


def read_source(source: str) -> Json:
    """Return the keys of a submission for the argument SOURCE.

    Raises:
        InvalidInput: The argument is neither a file nor the address of a commit.
    """
    if source == "-":
        return {"modulemd": _decode(sys.stdin.buffer.read(), "standard input")}
    path = Path(source)
    if path.is_file():
        return {"modulemd": _decode(path.read_bytes(), source)}
    if "://" in source:
        return {"scmurl": source}
    raise InvalidInput(
        f"{source!r} is neither a file nor the address of a commit.",
        code="bad_source",
        hint="The address of a commit looks like https://host/path?#COMMIT.",
    )


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 text: {error}.", code="bad_source") from error


def pair(text: str, form: str) -> tuple[str, str]:
    """Split ``left:right`` into both parts.

    Raises:
        InvalidInput: A part is missing.
    """
    left, _, right = text.partition(":")
    if not left or not right:
        raise InvalidInput(f"{text!r} is not of the form {form}.", code="bad_override")
    return left, right


def streams(pairs: Sequence[str]) -> dict[str, list[str]]:
    """Group streams by module: ``platform:f28``, ``platform:f29`` -> ``{"platform": ["f28", "f29"]}``."""
    found: dict[str, list[str]] = {}
    for text in pairs:
        name, stream = pair(text, "NAME:STREAM")
        found.setdefault(name, []).append(stream)
    return found
