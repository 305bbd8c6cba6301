"""Results of earlier local builds, and their reuse in a new one.

Each run has a folder below a common root. ``modules/N:S:V:C.yaml`` in it are the documents of its ready
modules, and ``local/modules/<tag>/repo`` contains the RPMs that were built.
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
class EarlierBuild:
    """A ready module of an earlier run. ``data`` is the folder of that run."""

    data: Path
    document: Path

    @property
    def nsvc(self) -> tuple[str, ...]:
        """Name, stream, version and context."""
        return tuple(self.document.stem.split(":"))


def repository(data: Path, tag: str) -> Path:
    """Return the path of a finished module's repository in a data folder."""
    return data / "local" / "modules" / tag / "repo"


def save(data: Path, nsvc: str, modulemd: str, tag: str) -> Path:
    """Store the document of a ready module with its tag, for later builds."""
    document = parse_stream(modulemd, strict=False)
    notes = {**document.mbs, "koji_tag": tag}
    path = data / DOCUMENTS / f"{nsvc}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(dump(replace(document, xmd={**document.xmd, "mbs": notes})))
    return path


def find(root: Path, wanted: str) -> EarlierBuild:
    """Return the newest earlier build of ``name:stream[:version[:context]]``.

    Raises:
        InvalidInput: There is none.
    """
    parts = tuple(wanted.split(":"))
    found = [each for each in _all(root) if each.nsvc[: len(parts)] == parts]
    if len(parts) < 2 or not found:
        raise InvalidInput(
            f"There is no finished local build of {wanted!r} in {root}.",
            code="no_local_build",
            hint="Build it with mbs-manager build_module_locally first, and name it NAME:STREAM[:VERSION].",
        )
    return max(found, key=lambda each: (int(each.nsvc[2]), each.document.stat().st_mtime))


def copy_repository(earlier: EarlierBuild, data: Path) -> None:
    """Copy the RPMs of an earlier build into the data folder of a new one."""
    tag = str(parse_stream(earlier.document.read_text(), strict=False).mbs["koji_tag"])
    source = repository(earlier.data, tag)
    if source.is_dir():
        shutil.copytree(source, repository(data, tag), symlinks=True)


def _all(root: Path) -> Iterator[EarlierBuild]:
    for document in root.glob(f"*/{DOCUMENTS}/*:*:*:*.yaml"):
        yield EarlierBuild(document.parent.parent, document)
