"""Maintain the repositories of a stream with its latest builds, so that dnf upgrades from one to the next.

======================= ==========================================================================
streams/NAME/STREAM/    folder of one stream of one module
  platform-el9/         repository of the builds for one platform
    builds.json         tags of the builds for the repository, the newest first
    left-out.json       tags of those that are not in it -> tags of the builds that are there instead
    tree-NUMBER/        hard links to their RPMs, and metadata with all their documents, without
                        contexts that dnf would mix with others (``contexts``)
    repo                link to the current tree
    mbs-NAME-STREAM.repo  dnf configuration of this repository, and those of the required streams
                        (``StreamFolder.label``)
  repo                  links at the addresses of earlier versions, to the platform that the
  mbs-NAME-STREAM.repo  stream was built for first
======================= ==========================================================================

Each platform has a repository of its own: dnf compares packages of all contexts in a repository, so that
``dnf update`` on el9 would install those for el10. Earlier versions had one repository for all platforms,
which is divided when the stream changes.

Trees are never changed. The previous tree is kept for clients that are reading it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from buildsys.base import Module
from buildsys.delivery import HIDDEN, Delivery, LeftOut
from buildsys.local import contexts
from buildsys.local.folders import lock, write_atomically
from buildsys.local.modules import ModuleFolder
from buildsys.local.repodata import create_repository
from buildsys.local.repos import PLATFORM, Needs, finished, needs, platform_of, section_name
from buildsys.local.sandbox import Sandbox, remove_tree
from mbs.modulemd import parse_stream

#: Builds that a repository holds at most, and RPMs, unless the newest build alone has more.
MAX_BUILDS, MAX_RPMS = 20, 5000
_BUILDS, _LEFT_OUT, _LINK, _TREE = "builds.json", "left-out.json", "repo", "tree-"
_PLATFORM, _NO_PLATFORM = "platform-", "no-platform"
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
        """Return the path at which earlier versions of this service published the dnf configuration."""
        return self.path / f"{self.label}.repo"

    def platform(self, platform: str) -> PlatformFolder:
        """Return the folder for a stream of the base module; empty for builds that require none."""
        return PlatformFolder(self, _part(f"{_PLATFORM}{platform}") if platform else _NO_PLATFORM)

    def platforms(self) -> list[PlatformFolder]:
        """Return the folders of all platforms that the stream was built for."""
        return [PlatformFolder(self, path.parent.name) for path in sorted(self.path.glob(f"*/{_BUILDS}"))]

    def add(self, tag: str, platform: str, sandbox: Sandbox) -> PlatformFolder:
        """Add a finished build to those of its platform, as the newest one; return the folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        folder = self.platform(platform)
        with lock(self.path / ".lock", wait=True):
            self._divide(sandbox)
            known = folder.builds()
            if tag not in known or not folder.repo.exists():
                folder.make([tag, *(each for each in known if each != tag)], sandbox)
            if not os.path.lexists(self.path / _LINK):
                self._link(folder)
        return folder

    def remove(self, tag: str, sandbox: Sandbox) -> None:
        """Remove a build from the repository of its platform, if it is there."""
        if not self.path.exists():
            return
        with lock(self.path / ".lock", wait=True):
            self._divide(sandbox)
            for folder in self.platforms():
                known = folder.builds()
                if tag in known:
                    folder.make([each for each in known if each != tag], sandbox)

    def describe(self, folder: PlatformFolder, configuration: str) -> None:
        """Write the dnf configuration of a platform; link ``repo_file`` to it if it is of this platform."""
        write_atomically(folder.repo_file, configuration)
        if os.readlink(self.path / _LINK) == f"{folder.part}/{_LINK}":
            _replace_link(self.repo_file, f"{folder.part}/{folder.repo_file.name}")

    def _divide(self, sandbox: Sandbox) -> None:
        """Divide the repository that an earlier version made for all platforms."""
        record = self.path / _BUILDS
        if not record.exists():
            for old in _numbers(self.path):
                remove_tree(self.path / f"{_TREE}{old}")
            return
        known = [(tag, platform_of(ModuleFolder(self.root, tag))) for tag in _tags(record)]
        by_platform: dict[str, list[str]] = {}
        for tag, platform in known:
            if platform is not None:
                by_platform.setdefault(platform, []).append(tag)
                first = platform
        for platform, tags in by_platform.items():
            self.platform(platform).make(tags, sandbox)
        if by_platform:
            self._link(self.platform(first))
        record.unlink()

    def _link(self, folder: PlatformFolder) -> None:
        _replace_link(self.path / _LINK, f"{folder.part}/{_LINK}")


@dataclass(frozen=True)
class PlatformFolder:
    """The folder of the builds of a stream for one platform, as described in the module's docstring.

    Attributes:
        part: Its name.
    """

    stream: StreamFolder
    part: str

    @property
    def path(self) -> Path:
        """Return the folder."""
        return self.stream.path / self.part

    @property
    def repo(self) -> Path:
        """Return the link to the present repository."""
        return self.path / _LINK

    @property
    def repo_file(self) -> Path:
        """Return the file that dnf reads about the repository."""
        return self.path / self.stream.repo_file.name

    def builds(self) -> list[str]:
        """Return the tags of the builds for the repository, the newest first."""
        return _tags(self.path / _BUILDS)

    def left_out(self) -> dict[str, str]:
        """Return the tags of the builds that dnf would mix with others, and of those that are there instead.

        It is empty for a repository that an earlier version of this service made.
        """
        try:
            found: dict[str, str] = json.loads((self.path / _LEFT_OUT).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def make(self, tags: Sequence[str], sandbox: Sandbox) -> None:
        """Replace the repository by one with these builds, the newest first, up to its limits."""
        self.path.mkdir(exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path))
        staging.chmod(0o755)
        try:
            tree = staging / "tree"
            tree.mkdir()
            folders = [ModuleFolder(self.stream.root, tag) for tag in tags[:MAX_BUILDS]]
            builds = _separated(folders)
            listed, documents = _collected(builds, tree)
            create_repository(tree, staging / "repodata", sandbox, "".join(documents))
            numbers = sorted(_numbers(self.path))
            number = numbers[-1] + 1 if numbers else 1
            tree.rename(self.path / f"{_TREE}{number}")
            _replace_link(self.repo, f"{_TREE}{number}")
            out = {each.folder.tag: each.instead for each in builds if each.instead}
            write_atomically(self.path / _LEFT_OUT, json.dumps(out))
            # Last: if this process dies before, the repository is made again when a build is added again.
            write_atomically(self.path / _BUILDS, json.dumps(listed))
            for old in numbers[:-1]:
                remove_tree(self.path / f"{_TREE}{old}")
        finally:
            remove_tree(staging)


def _tags(record: Path) -> list[str]:
    try:
        found: list[str] = json.loads(record.read_text("utf-8"))
    except FileNotFoundError:
        return []
    return found


def _replace_link(link: Path, target: str) -> None:
    """Make a link atomically, in place of a link or a file."""
    with tempfile.TemporaryDirectory(prefix=".link-", dir=link.parent) as staging:
        new = Path(staging) / "link"
        new.symlink_to(target)
        new.replace(link)


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


@dataclass(frozen=True)
class _Finished:
    """A finished build, its document, and the tag of the build that is in the repository instead of it."""

    folder: ModuleFolder
    document: str
    instead: str


def _separated(folders: Sequence[ModuleFolder]) -> list[_Finished]:
    """Return the finished builds."""
    texts = [(folder, text) for folder in folders if (text := finished(folder)) is not None]
    places = contexts.separate([parse_stream(text, strict=False) for _, text in texts])
    return [
        _Finished(folder, text, "" if place is None else texts[place][0].tag)
        for (folder, text), place in zip(texts, places, strict=True)
    ]


def _collected(builds: Sequence[_Finished], tree: Path) -> tuple[list[str], list[str]]:
    """Link the RPMs of builds into a tree up to its limits.

    If builds contain RPMs of the same name, the newest build's are linked: builds share reused components.

    Returns:
        The tags of the builds in the repository and of those that dnf would mix with them, and the documents
        of the builds in it.
    """
    count = 0
    documents: dict[str, str] = {}
    for build in builds:
        rpms = sorted(build.folder.repo.glob("*.rpm"))
        if build.instead or (documents and count + len(rpms) > MAX_RPMS):
            continue
        for rpm in rpms:
            if not (tree / rpm.name).exists():
                os.link(rpm, tree / rpm.name)
                count += 1
        documents[build.folder.tag] = build.document
    tags = [each.folder.tag for each in builds if (each.instead or each.folder.tag) in documents]
    return tags, list(documents.values())


def deliver(module: Module, folder: ModuleFolder, base_url: str, sandbox: Sandbox) -> Delivery:
    """Add a finished module to the repository of its stream.

    A scratch build, or a context that dnf would mix with another one, only has a repository of its own.

    Args:
        module: The module.
        folder: Its folder.
        base_url: URL of the build system's folder on the web server; empty if it is not served.
        sandbox: Provides limits and user.
    """
    if module.scratch:
        return Delivery(_url(folder.repo, folder.root, base_url))
    stream = StreamFolder(folder.root, module.name, module.stream)
    found = needs(module, folder)
    place = stream.add(module.tag, found.platform, sandbox)
    stream.describe(place, _repo_file(place, found, base_url))
    if left_out(module, folder, base_url):
        return Delivery(_url(folder.repo, folder.root, base_url))
    return Delivery(
        repository_url=_url(place.repo, folder.root, base_url),
        repo_file_url=_url(place.repo_file, folder.root, base_url).rstrip("/"),
        install=tuple(_install(place, found, base_url)),
    )


def left_out(module: Module, folder: ModuleFolder, base_url: str) -> LeftOut | None:
    """Return why a finished module is not in the repository of its stream; None if it is there.

    Args:
        module: The module.
        folder: Its folder.
        base_url: URL of the build system's folder on the web server; empty if it is not served.
    """
    stream = StreamFolder(folder.root, module.name, module.stream)
    places = stream.platforms()
    if not places or module.tag in _tags(stream.path / _BUILDS):
        return None  # in the repository of all platforms that an earlier version made
    own = LeftOut(_url(folder.repo, folder.root, base_url))
    for place in places:
        if module.tag in place.builds():
            instead = place.left_out().get(module.tag)
            return replace(own, instead=instead) if instead else None
    return own


def _install(place: PlatformFolder, found: Needs, base_url: str) -> Iterator[str]:
    address = _url(place.repo_file, place.stream.root, base_url).rstrip("/")
    yield shlex.join(("curl", "-fsSLo", f"/etc/yum.repos.d/{place.repo_file.name}", address))
    yield shlex.join(
        ("dnf", f"--setopt=module_platform_id={PLATFORM}:{found.platform}", "module", "install", found.wanted)
        if found.platform
        else ("dnf", "module", "install", found.wanted)
    )


def _repo_file(place: PlatformFolder, found: Needs, base_url: str) -> str:
    """Return the sections of a stream and of the streams that it requires, for one platform."""
    stream = place.stream
    repositories = {stream.label: (f"{stream.name}:{stream.stream}", place.repo)}
    for folder, document in found.required.items():
        other = StreamFolder(stream.root, document.name, document.stream)
        repo = other.platform(found.platform).repo
        repositories[other.label] = (
            f"{document.name}:{document.stream}",
            repo if repo.exists() else folder.repo,
        )
    return "\n".join(
        f"[{label}]\nname=Module {name}\nbaseurl={_url(repo, stream.root, base_url)}\n"
        "enabled=1\ngpgcheck=0\nmetadata_expire=60\n"
        for label, (name, repo) in repositories.items()
    )


def _url(place: Path, root: Path, base_url: str) -> str:
    if not base_url:
        return place.as_uri()
    return f"{base_url}/results/{quote(str(place.relative_to(root)))}/"
