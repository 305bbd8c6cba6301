"""Maintain the repository of a stream with its latest builds, so that dnf upgrades from one to the next.

======================= ==========================================================================
streams/NAME/STREAM/    folder of one stream of one module
  builds.json           tags of the builds in the repository, the newest first
  tree-NUMBER/          hard links to their RPMs, and metadata with all their documents
  repo                  link to the current tree
  mbs-NAME-STREAM.repo  dnf configuration of this repository, and those of the required streams
                        (``StreamFolder.label``)
======================= ==========================================================================

Trees are never changed. The previous tree is kept for clients that are reading it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from buildsys.base import Module
from buildsys.delivery import HIDDEN, Delivery
from buildsys.local.folders import lock, write_atomically
from buildsys.local.modules import ModuleFolder
from buildsys.local.repodata import create_repository
from buildsys.local.repos import PLATFORM, Needs, finished, needs, section_name
from buildsys.local.sandbox import Sandbox, remove_tree

#: Builds that a repository holds at most, and RPMs, unless the newest build alone has more.
MAX_BUILDS, MAX_RPMS = 20, 5000
_BUILDS, _LINK, _TREE = "builds.json", "repo", "tree-"
#: Characters of name and stream in a section name that has a hash.
_MAX_PLAIN = 150
#: Names and streams that make an unambiguous section name.
_PLAIN = re.compile(rf"[A-Za-z0-9_.]{{1,{_MAX_PLAIN // 2}}}")


@dataclass(frozen=True)
class StreamFolder:
    """The folder of a stream, as described in the module's docstring.

    Attributes:
        root: Folder of the build system.
    """

    root: Path
    name: str
    stream: str

    @property
    def path(self) -> Path:
        """Return the folder of the stream."""
        return self.root / "streams" / _part(self.name) / _part(self.stream)

    @property
    def repo(self) -> Path:
        """Return the link to the present repository."""
        return self.path / _LINK

    @property
    def label(self) -> str:
        """Return the section name in the dnf configuration, which no other stream has.

        The hyphen between name and stream, and the characters that a section name cannot contain, leave
        some names ambiguous (``a-b:c`` and ``a:b-c``). These end with a part of a hash.
        """
        plain = section_name(f"{self.name}-{self.stream}")
        if _PLAIN.fullmatch(self.name) and _PLAIN.fullmatch(self.stream):
            return f"mbs-{plain}"
        digest = sha256(f"{self.name}:{self.stream}".encode()).hexdigest()
        return f"mbs-{plain[:_MAX_PLAIN]}-{digest[:8]}"

    @property
    def repo_file(self) -> Path:
        """Return the file that dnf reads about the repository."""
        return self.path / f"{self.label}.repo"

    def builds(self) -> list[str]:
        """Return the tags of the builds in the repository, the newest first."""
        try:
            found: list[str] = json.loads((self.path / _BUILDS).read_text("utf-8"))
        except FileNotFoundError:
            return []
        return found

    def add(self, tag: str, sandbox: Sandbox) -> None:
        """Add a finished build to the repository, as the newest one."""
        self.path.mkdir(parents=True, exist_ok=True)
        with lock(self.path / ".lock", wait=True):
            known = self.builds()
            if tag not in known or not self.repo.exists():
                self._make([tag, *(each for each in known if each != tag)], sandbox)

    def remove(self, tag: str, sandbox: Sandbox) -> None:
        """Remove a build from the repository, if it is there."""
        if tag not in self.builds():
            return
        with lock(self.path / ".lock", wait=True):
            self._make([each for each in self.builds() if each != tag], sandbox)

    def _make(self, tags: Sequence[str], sandbox: Sandbox) -> None:
        staging = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path))
        staging.chmod(0o755)
        try:
            tree = staging / "tree"
            tree.mkdir()
            taken = dict(_collected([ModuleFolder(self.root, tag) for tag in tags], tree))
            create_repository(tree, staging / "repodata", sandbox, "".join(taken.values()))
            numbers = sorted(_numbers(self.path))
            number = numbers[-1] + 1 if numbers else 1
            tree.rename(self.path / f"{_TREE}{number}")
            link = staging / _LINK
            link.symlink_to(f"{_TREE}{number}")
            link.replace(self.repo)
            write_atomically(self.path / _BUILDS, json.dumps(list(taken)))
            for old in numbers[:-1]:
                remove_tree(self.path / f"{_TREE}{old}")
        finally:
            remove_tree(staging)


def _part(text: str) -> str:
    """Return a name or a stream as one part of a path, without characters that file names cannot contain."""
    part = quote(text, safe="+")
    # Names that the web server does not show.
    return f"%{ord(part[0]):02X}{part[1:]}" if part.startswith(".") or part in HIDDEN else part


def _numbers(folder: Path) -> Iterator[int]:
    for name in os.listdir(folder):
        number = name.removeprefix(_TREE)
        if number != name and number.isdigit():
            yield int(number)


def _collected(folders: Sequence[ModuleFolder], tree: Path) -> Iterator[tuple[str, str]]:
    """Link the RPMs of builds into a tree up to its limits; yield tags and documents of these builds.

    If builds contain RPMs of the same name, the newest build's are linked: builds share reused components.
    """
    count = 0
    for place, folder in enumerate(folders):
        document = finished(folder)
        rpms = sorted(folder.repo.glob("*.rpm")) if document is not None else []
        if document is None or place >= MAX_BUILDS or (place and count + len(rpms) > MAX_RPMS):
            continue
        for rpm in rpms:
            if not (tree / rpm.name).exists():
                os.link(rpm, tree / rpm.name)
                count += 1
        yield folder.tag, document


def deliver(module: Module, folder: ModuleFolder, base_url: str, sandbox: Sandbox) -> Delivery:
    """Add a finished module to the repository of its stream, unless it is a scratch build.

    Args:
        module: The module.
        folder: Its folder.
        base_url: URL of the build system's folder on the web server; empty if it is not served.
        sandbox: Provides limits and user.
    """
    if module.scratch:
        return Delivery(_url(folder.repo, folder.root, base_url))
    stream = StreamFolder(folder.root, module.name, module.stream)
    stream.add(module.tag, sandbox)
    found = needs(module, folder)
    write_atomically(stream.repo_file, _repo_file(stream, found, base_url))
    return Delivery(
        repository_url=_url(stream.repo, folder.root, base_url),
        repo_file_url=_url(stream.repo_file, folder.root, base_url).rstrip("/"),
        install=tuple(_install(stream, found, base_url)),
    )


def _install(stream: StreamFolder, found: Needs, base_url: str) -> Iterator[str]:
    address = _url(stream.repo_file, stream.root, base_url).rstrip("/")
    yield shlex.join(("curl", "-fsSLo", f"/etc/yum.repos.d/{stream.repo_file.name}", address))
    yield shlex.join(
        ("dnf", f"--setopt=module_platform_id={PLATFORM}:{found.platform}", "module", "install", found.wanted)
        if found.platform
        else ("dnf", "module", "install", found.wanted)
    )


def _repo_file(stream: StreamFolder, found: Needs, base_url: str) -> str:
    """Return the sections of a stream and of the streams that it requires."""
    repositories = {stream.label: (f"{stream.name}:{stream.stream}", stream.repo)}
    for folder, document in found.required.items():
        other = StreamFolder(stream.root, document.name, document.stream)
        place = other.repo if other.repo.exists() else folder.repo
        repositories[other.label] = (f"{document.name}:{document.stream}", place)
    return "\n".join(
        f"[{label}]\nname=Module {name}\nbaseurl={_url(place, stream.root, base_url)}\n"
        "enabled=1\ngpgcheck=0\nmetadata_expire=60\n"
        for label, (name, place) in repositories.items()
    )


def _url(place: Path, root: Path, base_url: str) -> str:
    if not base_url:
        return place.as_uri()
    return f"{base_url}/results/{quote(str(place.relative_to(root)))}/"
