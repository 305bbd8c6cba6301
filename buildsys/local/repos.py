"""Make the yum repositories of a finished module, and the dnf commands to install it."""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from glob import escape
from pathlib import Path
from urllib.parse import quote, unquote

from buildsys.base import BuildSystemError, Module
from buildsys.local.folders import lock, write_atomically
from buildsys.local.hostpackage import make_host_repository
from buildsys.local.modules import ModuleFolder, altered
from buildsys.local.repodata import create_repository
from buildsys.local.rpmfile import Package
from buildsys.local.sandbox import Sandbox, remove_tree
from mbs.final import SOURCE, BuiltRpm, content, final_documents
from mbs.modulemd import StreamV2, dump, parse_stream

#: Max bytes of metadata of one module's packages, which are read while a worker waits.
_MAX_FACTS = 512 << 20
_REPOSITORIES = ("repo", "source", "host")
#: File of the final documents by architecture.
_RECORD = "final.json"
#: File of the dnf commands, written before ``_RECORD``.
_COMMANDS = "dnf.txt"
_PLATFORM_OPTION = "--setopt=module_platform_id="
#: The base module's name in dnf.
PLATFORM = "platform"


@dataclass(frozen=True)
class DnfCommands:
    """Complete command lines as lists of arguments.

    Attributes:
        listing: Lists the module in dnf.
        install: Installs a profile of it into a root folder. dnf needs to be root for that, so for other
            users the command begins with ``unshare``, which makes them root of a user namespace.
    """

    listing: tuple[str, ...]
    install: tuple[str, ...]

    def __str__(self) -> str:
        return f"{shlex.join(self.listing)}\n{shlex.join(self.install)}\n"


def finish(
    module: Module, folder: ModuleFolder, nvrs: Sequence[str], arch: str, sandbox: Sandbox
) -> Mapping[str, str]:
    """Make the module's repository and that of its host package.

    Args:
        nvrs: NVRs of the components; those that are not tagged into the module are left out.
        sandbox: Provides limits and user.

    Returns:
        Architecture or ``src`` -> final document.

    Raises:
        BuildSystemError: ``not_tagged``: no component is tagged. ``rpm_twice``, ``build_altered``,
            ``module_too_large``: its RPMs cannot form a module. Also if a tool fails.
    """
    tagged = set(folder.nvrs("final"))
    held_nvrs = [nvr for nvr in nvrs if nvr in tagged]
    if folder.facts_size(held_nvrs) > _MAX_FACTS:
        raise BuildSystemError(
            f"The packages of {module.nsvc} have too many dependencies and files in total.",
            code="module_too_large",
            hint="Spread its components over several modules.",
        )
    packages = dict(each for nvr in held_nvrs for each in folder.packages("final", nvr, slim=True))
    if nvrs and not packages:
        raise BuildSystemError(
            f"{module.nsvc} contains no build.", code="not_tagged", hint="Tag its components first."
        )
    built = _built(packages)
    document = _document(module)
    documents = {each: dump(final) for each, final in final_documents(document, list(built), [arch]).items()}
    held = [built[rpm] for rpm in content(document, list(built), arch)]
    record = folder.path / _RECORD
    with lock(folder.path / ".final.lock", wait=True):
        if record.exists() and json.loads(record.read_text("utf-8")) == documents:
            return documents
        _write_repositories(module, folder, {path: packages[path] for path in held}, documents[arch], sandbox)
        root = Path("/tmp") / f"{module.name}-root"  # noqa: S108  (an example, for people)
        commands = dnf_commands(module, folder, root)
        write_atomically(folder.path / _COMMANDS, str(commands))
        write_atomically(record, json.dumps(documents))
    return documents


def _document(module: Module) -> StreamV2:
    """Return the module's document with name, stream, version and context."""
    document = parse_stream(module.modulemd, strict=False, name=module.name, stream=module.stream)
    document.version = document.version or int(module.version)
    document.context = document.context or module.context
    return document


def _built(packages: Mapping[Path, Package]) -> dict[BuiltRpm, Path]:
    sources = {package.filename: package for package in packages.values() if package.arch == SOURCE}
    built: dict[BuiltRpm, Path] = {}
    names: set[str] = set()
    for path, package in packages.items():
        if package.filename in names:
            raise BuildSystemError(
                f"Two components of the module have built {package.filename}.",
                code="rpm_twice",
                hint="Build each package in one component only.",
            )
        names.add(package.filename)
        source = sources.get(package.sourcerpm, package)
        # Modules of other services have no source RPMs here.
        source_name = source.name if source.arch == SOURCE else package.sourcerpm.rsplit("-", 2)[0]
        rpm = BuiltRpm(
            name=package.name,
            epoch=package.epoch,
            version=package.version,
            release=package.release,
            arch=package.arch,
            source=source_name,
            license=package.license,
            excludearch=frozenset(source.excludearch),
            exclusivearch=frozenset(source.exclusivearch),
        )
        built[rpm] = path
    return built


def _write_repositories(
    module: Module, folder: ModuleFolder, held: Mapping[Path, Package], document: str, sandbox: Sandbox
) -> None:
    """Make ``repo`` (binary RPMs and metadata), ``source`` (source RPMs) and ``host`` again."""
    staging = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.path))
    staging.chmod(0o755)
    try:
        for name in _REPOSITORIES:
            (staging / name).mkdir()
        for path, package in held.items():
            if not package.is_file(path):
                raise altered(path)
            os.link(path, staging / ("source" if package.arch == SOURCE else "repo") / path.name)
        create_repository(staging / "repo", staging / "repodata", sandbox, document)
        binary = partial(_binary, folder, held)
        make_host_repository(staging / "host", module.tag, binary, staging / "hostpackage", sandbox)
        for name in _REPOSITORIES:
            remove_tree(folder.path / name)
            (staging / name).rename(folder.path / name)
    finally:
        remove_tree(staging)


def _binary(folder: ModuleFolder, held: Mapping[Path, Package]) -> Iterator[Package]:
    """Yield the binary packages of the module with all metadata, one component at a time."""
    for nvr in dict.fromkeys(path.parent.name for path in held):
        for path, package in folder.packages("final", nvr):
            if path in held and package.arch != SOURCE:
                yield package


def dnf_commands(module: Module, folder: ModuleFolder, installroot: Path, profile: str = "") -> DnfCommands:
    """Return the dnf commands that list and install a finished module.

    They include the repositories of modules that it requires, directly or indirectly, if they were built
    here.

    Args:
        installroot: Absolute path of the folder to install into, which dnf creates.
        profile: Profile to install; by default ``default`` or the first one.
    """
    found = needs(module, folder, profile)
    as_root = () if os.geteuid() == 0 else ("unshare", "--map-root-user")
    options = (
        "dnf",
        "--assumeyes",
        "--nogpgcheck",
        f"--installroot={installroot}",
        "--releasever=0",
        # Debian enables the plugin "local", which copies all RPMs into a repository of the machine.
        "--setopt=plugins=0",
        "--setopt=reposdir=/dev/null",
        f"{_PLATFORM_OPTION}{PLATFORM}:{found.platform}",
        *(option for each in (folder, *found.required) for option in _repository_options(each)),
    )
    return DnfCommands(
        listing=(*options, "module", "list", module.name),
        install=(*as_root, *options, "module", "install", found.wanted),
    )


@dataclass(frozen=True)
class Needs:
    """The arguments for dnf to install a finished module.

    Attributes:
        platform: Stream of the base module that dnf must assume; empty if the module requires none.
        wanted: The module, its stream and a profile.
        required: The finished modules that it requires, directly or indirectly.
    """

    platform: str
    wanted: str
    required: Mapping[ModuleFolder, StreamV2]


def needs(module: Module, folder: ModuleFolder, profile: str = "") -> Needs:
    """Return the arguments for dnf to install a finished module.

    Args:
        module: The module.
        folder: Its folder.
        profile: Profile to install; by default ``default``, otherwise the first one.
    """
    document = _document(module)
    required = _required(module, document, folder)
    profiles = list(document.profiles)
    chosen = profile or ("default" if "default" in profiles else next(iter(profiles), ""))
    return Needs(
        platform=_platform(module, [document, *required.values()]),
        wanted=module.nsvc.ns + (f"/{chosen}" if chosen else ""),
        required=required,
    )


def section_name(text: str) -> str:
    """Return a text as a valid section name of a dnf configuration."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)


def _repository_options(folder: ModuleFolder) -> Iterator[str]:
    name = section_name(folder.tag.removeprefix("module-"))
    yield f"--repofrompath=mbs-{name},{folder.repo.as_uri()}"
    yield f"--repofrompath=mbs-host-{name},{folder.host.as_uri()}"


def _requires(document: StreamV2) -> Iterator[tuple[str, list[str]]]:
    return ((name, streams) for each in document.dependencies for name, streams in each.requires.items())


def _platform(module: Module, documents: Sequence[StreamV2]) -> str:
    """Return the base module's stream for dnf: one that all documents accept, if possible.

    A document may require a virtual stream (``el8``) of the base module that the module is built against
    (``el8.6.0``), but dnf has only one platform stream.
    """
    built = str(module.buildrequires.get(PLATFORM, {}).get("stream", ""))
    wished = [
        streams for each in documents for name, streams in _requires(each) if name == PLATFORM and streams
    ]
    candidates = dict.fromkeys(
        [built, *(stream for streams in wished for stream in streams if not stream.startswith("-"))]
    )
    accepted = (each for each in candidates if all(_accepts(streams, each) for streams in wished))
    first = next((each for each in candidates if not wished or _accepts(wished[0], each)), built)
    return next(accepted, first)


def _accepts(streams: Sequence[str], stream: str) -> bool:
    """Return whether a stream satisfies a list of required or excluded streams."""
    if streams[0].startswith("-"):
        return f"-{stream}" not in streams
    return stream in streams


def _required(module: Module, document: StreamV2, folder: ModuleFolder) -> dict[ModuleFolder, StreamV2]:
    """Return the finished modules of this build system that a module requires, directly or indirectly."""
    found: dict[ModuleFolder, StreamV2] = {}
    seen, queue = {module.name, PLATFORM}, list(_requires(document))
    while queue:
        name, streams = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        for tag in _tags(module, folder, name, streams):
            other = ModuleFolder(folder.root, tag)
            text = finished(other)
            if text is not None:
                found[other] = parse_stream(text, strict=False)
                queue += _requires(found[other])
                break
    return found


def _tags(module: Module, folder: ModuleFolder, name: str, streams: Sequence[str]) -> Iterator[str]:
    """Yield tags of a required module's builds: the one that was built against, then others, newest first."""
    against = module.buildrequires.get(name, {})
    tag = against.get("koji_tag")
    if isinstance(tag, str) and tag and (not streams or _accepts(streams, str(against.get("stream", "")))):
        yield tag
    # Tags have names of the form module-name-stream-version-context (docs/contract/modulemd.md, "Names and
    # hashes").
    wanted = [stream for stream in streams if not stream.startswith("-")]
    records = [
        path
        for stream in wanted
        for path in folder.path.parent.glob(
            f"{escape(quote(f'module-{name}-{stream}-', safe='+'))}*/final.json"
        )
    ]
    for path in sorted(records, key=lambda path: path.stat().st_mtime, reverse=True):
        yield unquote(path.parent.name)


def finished(folder: ModuleFolder) -> str | None:
    """Return the final document of a module's first architecture, or None if it is not finished here."""
    record = folder.path / _RECORD
    if not record.is_file():
        return None
    documents: Mapping[str, str] = json.loads(record.read_text("utf-8"))
    return next((text for arch, text in documents.items() if arch != SOURCE), None)


def platform_of(folder: ModuleFolder) -> str | None:
    """Return the platform stream that dnf must assume for a module; None if it is not finished here."""
    if finished(folder) is None:
        return None
    prefix = f"{_PLATFORM_OPTION}{PLATFORM}:"
    words = shlex.split((folder.path / _COMMANDS).read_text("utf-8"))
    return next(word.removeprefix(prefix) for word in words if word.startswith(prefix))
