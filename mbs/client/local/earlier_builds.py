"""Results of earlier local builds, and their reuse in a new one.

Each checkout has a data folder below a common root. ``modules/N:S:V:C.yaml`` in it are the documents of its
ready modules, and ``local/modules/<tag>`` contains the RPMs that were built.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from buildsys.local.modules import ModuleFolder
from mbs.errors import InvalidInput
from mbs.modulemd import dump, parse_stream
from mbs.nsvc import NSVC
from mbs.text import printable

DOCUMENTS = "modules"
#: The build system's folder in a data folder.
SYSTEM = "local"
#: The parts of a module's folder that builds against it need, and dnf for modules that require it.
_PARTS = ("final", "repo", "source", "host", "final.json")


@dataclass(frozen=True)
class EarlierBuild:
    """A ready module of an earlier run.

    Attributes:
        data: Data folder of the run.
        document: Path of the module's document.
        nsvc: Name, stream, version and context of the module.
    """

    data: Path
    document: Path
    nsvc: NSVC


def repository(data: Path, tag: str) -> Path:
    """Return the path of a finished module's repository in a data folder."""
    return ModuleFolder(data / SYSTEM, tag).repo


def document_path(data: Path, nsvc: NSVC) -> Path:
    """Return the path of the document of a ready module."""
    return data / DOCUMENTS / f"{nsvc}.yaml"


def save(data: Path, nsvc: NSVC, modulemd: str, tag: str) -> Path:
    """Store the document of a ready module with its tag, for later builds."""
    document = parse_stream(modulemd, strict=False)
    notes = {**document.mbs, "koji_tag": tag}
    path = document_path(data, nsvc)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump(replace(document, xmd={**document.xmd, "mbs": notes})))
    return path


def find(roots: Sequence[Path], wanted: str) -> list[EarlierBuild]:
    """Return the earlier builds of ``name:stream[:version[:context]]``: all contexts of the newest version.

    Args:
        roots: Folders of which each contains the data folders of runs.
        wanted: The name.

    Raises:
        InvalidInput: There is none.
    """
    parts = NSVC.split(wanted)
    found = [each for root in roots for each in _all(root) if parts.items() <= vars(each.nsvc).items()]
    if len(parts) < 2 or not found:
        raise InvalidInput(
            f"There is no finished local build of {printable(wanted)!r} in {' or '.join(map(str, roots))}.",
            code="no_local_build",
            hint="Build it with `mbs local` first, and name it NAME:STREAM[:VERSION[:CONTEXT]].",
        )
    newest = max(int(each.nsvc.version) for each in found)
    # The same build may have been made in several runs.
    by_name = {each.nsvc: each for each in sorted(found, key=lambda each: each.document.stat().st_mtime)}
    return [each for each in by_name.values() if int(each.nsvc.version) == newest]


def take(earlier: EarlierBuild, data: Path) -> None:
    """Link or copy the RPMs of an earlier build into the data folder of a new one."""
    tag = str(parse_stream(earlier.document.read_text(), strict=False).mbs["koji_tag"])
    source, target = (ModuleFolder(each / SYSTEM, tag).path for each in (earlier.data, data))
    if not source.is_dir() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as name:
        new = Path(name) / "module"
        new.mkdir()
        for path in (source / kind for kind in _PARTS):
            if path.is_dir():
                shutil.copytree(path, new / path.name, symlinks=True, copy_function=_link)
            elif path.is_file():
                _link(str(path), str(new / path.name))
        new.rename(target)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _all(root: Path) -> Iterator[EarlierBuild]:
    for document in root.glob(f"*/{DOCUMENTS}/*:*:*:*.yaml"):
        try:
            nsvc = NSVC.parse(document.stem)
        except InvalidInput:
            continue
        yield EarlierBuild(document.parent.parent, document, nsvc)
