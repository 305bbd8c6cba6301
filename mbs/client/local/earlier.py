"""What former local builds left, and how a new one takes it up.

Each run has a folder below one root. In it, ``modules/N:S:V:C.yaml`` are the documents of what became ready,
and ``local/modules/<tag>/repo`` holds the RPMs, where really something was built.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mbs.errors import InvalidInput
from mbs.modulemd import dump, parse_stream

DOCUMENTS = "modules"


@dataclass(frozen=True)
class Earlier:
    """A module that became ready in a former run; ``data`` is that run's folder."""

    data: Path
    document: Path

    @property
    def nsvc(self) -> tuple[str, ...]:
        return tuple(self.document.stem.split(":"))


def repository(data: Path, tag: str) -> Path:
    """Where the local build system puts the repository of a finished module."""
    return data / "local" / "modules" / tag / "repo"


def keep(data: Path, nsvc: str, modulemd: str, tag: str) -> Path:
    """Store the document of a module that became ready, with its tag, for builds to come."""
    document = parse_stream(modulemd, strict=False)
    notes = {**document.mbs, "koji_tag": tag}
    path = data / DOCUMENTS / f"{nsvc}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(dump(replace(document, xmd={**document.xmd, "mbs": notes})))
    return path


def find(root: Path, wanted: str) -> Earlier:
    """The newest former build of ``name:stream[:version[:context]]``.

    Raises:
        InvalidInput: There is none.
    """
    parts = tuple(wanted.split(":"))
    found = [each for each in _all(root) if each.nsvc[: len(parts)] == parts]
    if len(parts) < 2 or not found:
        raise InvalidInput(
            f"There is no finished local build {wanted!r} in {root}.",
            code="no_local_build",
            hint="Build it with mbs-manager build_module_locally first, and name it NAME:STREAM[:VERSION].",
        )
    return max(found, key=lambda each: (int(each.nsvc[2]), each.document.stat().st_mtime))


def take_up(earlier: Earlier, data: Path) -> None:
    """Put the RPMs of a former build where builds in another folder look for them."""
    tag = str(parse_stream(earlier.document.read_text(), strict=False).mbs["koji_tag"])
    source = repository(earlier.data, tag)
    if source.is_dir():
        shutil.copytree(source, repository(data, tag), symlinks=True)


def _all(root: Path) -> Iterator[Earlier]:
    for document in root.glob(f"*/{DOCUMENTS}/*:*:*:*.yaml"):
        yield Earlier(document.parent.parent, document)
