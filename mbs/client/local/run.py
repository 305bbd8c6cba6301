"""Run a local build: prepare its data folder, run the service, follow the builds, and keep their results."""

from __future__ import annotations

import fcntl
import getpass
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from mbs.client.address import is_locked
from mbs.client.demo.command import while_service_runs
from mbs.client.demo.service import LOG_FILE, service
from mbs.client.display import follow
from mbs.client.local import checkouts, earlier_builds, host_modules, repository, srpms
from mbs.client.local.beginning import Ask, Supply, begin, narrowed
from mbs.client.local.editing import Changes, edit
from mbs.client.local.plan import PLATFORM, overrides, platforms
from mbs.client.local.source import Source, digest, find_source, stream_of
from mbs.client.local.supply import supplier
from mbs.client.rest import Client, Json, Refused
from mbs.client.up.needs import check_installed, check_machine, find_redis
from mbs.client.up.platform import HostPlatform, host_platform
from mbs.client.watching import Snapshot, watch
from mbs.errors import Conflict, InvalidInput
from mbs.modulemd import StreamV2
from mbs.names import NAME, REF, STREAM

#: Seconds between two requests.
INTERVAL = 0.5
#: Seconds to wait for the end of the service of a run that was killed.
STOP_TIME = 60
#: Options of the service for local builds, which override the user's configuration.
OWN = {
    "MBS_DATABASE_URL": "sqlite:///mbs.sqlite3",
    "MBS_MESSAGING": "log",
    "MBS_NO_AUTH": "true",
    "MBS_LOCAL_RESULTS": "files",
    # The document comes from a repository of its own.
    "MBS_ALLOW_CUSTOM_SCMURLS": "true",
    "MBS_ALLOW_PRIVATE_SCM_HOSTS": "true",
    "MBS_ALLOW_NAME_OVERRIDE_FROM_SCM": "true",
    "MBS_ALLOW_STREAM_OVERRIDE_FROM_SCM": "true",
    # A run that continues an interrupted one does not wait for the intervals of production.
    "MBS_SWEEP_INTERVAL": "2",
    "MBS_POLLING_INTERVAL": "2",
    "MBS_LOST_AFTER": "5",
    "MBS_WAKE_AGAIN_AFTER": "5",
    "MBS_SUBMIT_LEASE": "15",
    "MBS_MAX_ATTEMPTS": "50",
}
#: Options that the user's environment overrides.
DEFAULTS = {"MBS_SYSTEM": "local", "MBS_SCM_SUBMIT_TIMEOUT": "120", "MBS_SCM_SIZE_LIMIT": str(2 << 30)}

Say = Callable[[str], None]


@dataclass(frozen=True)
class LocalBuildRequest:
    """The request for a local build.

    Attributes:
        source: Checkout, modulemd file or URL.
        branch: Branch of a URL.
        stream: Stream of the module; empty for that of the document or the branch.
        uncommitted: Include changes that are not committed, of the checkout and of those of components.
        add: Earlier local builds to make available, as ``name:stream[:version[:context]]``.
        streams: Module name -> stream to build against, if there are several.
        platform: Stream of the base module, or ``platform:STREAM``.
        skip_tests: Skip the %check sections.
        srpms: Component -> source RPM to build it from.
        checkouts: Component -> git checkout to build it from.
        offline: Use nothing from the network.
        modules_from: URL of a Module Build Service from which modules are taken.
        host_modules: Take modules from the dnf repositories of this machine.
        again: Build everything again.
    """

    source: str = "."
    branch: str = ""
    stream: str = ""
    uncommitted: bool = False
    add: Sequence[str] = ()
    streams: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    skip_tests: bool = False
    srpms: Mapping[str, Path] = field(default_factory=dict)
    checkouts: Mapping[str, Path] = field(default_factory=dict)
    offline: bool = False
    modules_from: str = ""
    host_modules: bool = False
    again: bool = False


@dataclass(frozen=True)
class Module:
    """The module to build.

    Attributes:
        branch: Branch that the document is committed to, in a repository of its own.
        choices: Module -> stream to build against.
        platforms: Streams of the base module that represents this machine.
        any_platform: Whether the module is built against any stream of the base module.
    """

    source: Source
    name: str
    stream: str
    branch: str
    documents: Sequence[StreamV2]
    choices: Mapping[str, str]
    platforms: Sequence[HostPlatform]
    any_platform: bool


@dataclass(frozen=True)
class Run:
    """A finished run: its data folder, and the last snapshot of its builds as JSON and as objects."""

    data: Path
    last: Snapshot
    builds: list[Json]


def read_module(request: LocalBuildRequest, ask: Ask | None = None) -> Module:
    """Read the module of a request.

    Args:
        request: The request.
        ask: Asks the user for a stream; None to use defaults.

    Raises:
        MBSError: There is no valid document, or the options do not match it.
    """
    source = find_source(
        request.source,
        branch=request.branch,
        uncommitted=request.uncommitted,
        network=not request.offline,
    )
    documents = source.documents()
    name = documents[0].name or source.file_name
    if not NAME.fits(name):
        raise InvalidInput(
            NAME.fault(name), code="invalid_name", hint=f"{NAME.hint} Set data.name in the document."
        )
    stream = request.stream or documents[0].stream or ""
    if not stream and ask is not None:
        stream = ask("", ())
    if not STREAM.fits(stream) or "-" in stream:
        raise InvalidInput(
            STREAM.fault(stream)
            if stream
            else "The stream of the module is unknown: no branch is checked out.",
            code="invalid_stream",
            hint="Give it: --stream STREAM.",
        )
    choices = dict(request.streams)
    if request.platform:
        choices[PLATFORM] = request.platform.rpartition(":")[2]
    named = platforms(documents, choices)
    bases = [HostPlatform(each, "this machine") for each in named] or [host_platform()]
    own = REF.fits(source.branch) and stream_of(source.branch) == stream
    return Module(
        source=source,
        name=name,
        stream=stream,
        branch=source.branch if own else stream,
        documents=documents,
        choices=choices,
        platforms=bases,
        any_platform=not named
        and any(PLATFORM in each.buildrequires for d in documents for each in d.dependencies),
    )


def folder_of(root: Path, module: Module, request: LocalBuildRequest, add: Sequence[str]) -> Path:
    """Return the data folder of a module, which differs if other modules are available to it."""
    resolver = "offline" if request.offline else "dnf" if request.host_modules else request.modules_from
    return root / f"{module.name}-{digest(module.source.key, resolver, *sorted(add))}"


def build_locally(
    request: LocalBuildRequest,
    *,
    say: Say,
    progress: TextIO,
    roots: Sequence[Path],
    data: Path | None = None,
    ask: Ask | None = None,
) -> Run:
    """Build a module, or continue with its builds.

    Args:
        request: The request.
        say: Called with lines for the user.
        progress: Stream for the progress display.
        roots: Folders of data folders: the first one for this run, all for earlier builds.
        data: The data folder, instead of one below the first root.
        ask: Asks the user for streams; None to build all contexts.

    Raises:
        MBSError: The module cannot be built.
    """
    check_installed("local")
    redis = find_redis()
    module = read_module(request, ask)
    earlier = [each for wanted in request.add for each in earlier_builds.find(roots, wanted)]
    data = data or folder_of(roots[0], module, request, [str(each.nsvc) for each in earlier])
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _held(data):
        settings = _settings(request, data)
        assert redis, "otherwise Missing was raised"
        check_machine(settings["MBS_SYSTEM"], data)
        say(f"Building {module.name}:{module.stream} from {module.source.origin}.")
        body = _submission(request, module, data, say)
        if module.source.left_out:
            say("The document has uncommitted changes, which are left out. --uncommitted includes them.")
        say(f"All files of this build are in {data}; the service's log is {LOG_FILE}.")
        if request.host_modules:
            settings |= host_modules.refresh(say)
        os.environ.update(settings)
        say("Starting the service ...")
        imported = list(_imported_documents(data, module, earlier))
        supply = supplier(
            data,
            say,
            modules_from=request.modules_from,
            host=request.host_modules,
            offline=request.offline,
            present={each.nsvc for each in earlier},
        )
        return _build(body, data, imported, request, supply, progress, ask)


def _build(
    body: Json,
    data: Path,
    imported: Sequence[Path],
    request: LocalBuildRequest,
    supply: Supply,
    progress: TextIO,
    ask: Ask | None,
) -> Run:
    with service(data, keep=False, modules=imported, options=("--private",)) as mine:
        base_url = mine.ready().base_url
        with Client(base_url, owner=getpass.getuser()) as client:
            try:
                body = narrowed(client, body, ask)
                ids = begin(client, body, again=request.again, supply=supply)
            except Refused as error:
                raise with_places(error, request) from error
            last = follow(while_service_runs(data, watch(client, ids, interval=INTERVAL)), progress)
            builds = [client.build(each.id, verbose=True) for each in last.builds]
    for build, answer in zip(last.builds, builds, strict=True):
        if build.succeeded:
            earlier_builds.save(data, build.nsvc, str(answer["modulemd"]), build.tag)
    return Run(data, last, builds)


def with_places(error: Refused, request: LocalBuildRequest) -> Refused:
    """Return a refusal with a hint where to find required modules, if they were only looked for locally."""
    elsewhere = request.modules_from or request.host_modules or request.offline
    if not elsewhere and any(each.key.startswith("data.dependencies[") for each in error.problems):
        error.hint += " To use modules that were built elsewhere: --server, --dnf or -l."
    return error


def _settings(request: LocalBuildRequest, data: Path) -> dict[str, str]:
    """Return the options of the service."""
    found = {name: os.environ.get(name, value) for name, value in DEFAULTS.items()}
    found |= {**OWN, "MBS_DATA_DIR": str(data)}
    if request.offline:
        found |= {"MBS_RESOLVER": "local", "MBS_SCM_NETWORK": "false"}
    elif request.host_modules:
        found |= {"MBS_RESOLVER": "local"}
    elif request.modules_from:
        found |= {"MBS_RESOLVER": "mbs", "MBS_MBS_URL": request.modules_from}
    return found


def _submission(request: LocalBuildRequest, module: Module, data: Path, say: Say) -> Json:
    """Commit the document to its repository, with the changes of the request, and return the submission."""
    sources = {
        **checkouts.sources(
            module.documents, request.checkouts, data / "checkouts", say, uncommitted=request.uncommitted
        ),
        **{package: srpms.store(path, data / "srpms" / package) for package, path in request.srpms.items()},
    }
    declared = module.documents[0].stream
    changes = Changes(
        stream=module.stream if declared != module.stream else "",
        skip_checks=request.skip_tests,
        sources=sources,
    )
    text = edit(module.source.text, changes)
    commit = repository.store(
        data / "source" / module.name,
        f"{module.name}.yaml",
        text,
        branch=module.branch,
        seconds=module.source.seconds if text == module.source.text else None,
        origin=module.source.origin,
    )
    body = overrides(module.documents, module.choices)
    if module.any_platform:
        # Otherwise all streams would be built against that another service has.
        body.setdefault("buildrequire_overrides", {})[PLATFORM] = [module.platforms[0].stream]
    return {
        "scmurl": f"{(data / 'source' / module.name).as_uri()}?#{commit}",
        "branch": module.branch,
        **body,
    }


def _imported_documents(
    data: Path, module: Module, earlier: Sequence[earlier_builds.EarlierBuild]
) -> Iterator[Path]:
    """Yield the documents to import: base modules, and earlier builds, whose RPMs are linked."""
    for number, base in enumerate(module.platforms):
        yield base.write(data / f"platform{number}")
    for each in earlier:
        earlier_builds.take(each, data)
        yield each.document


@contextmanager
def _held(data: Path) -> Iterator[None]:
    """Hold the data folder for this run, after the service of a killed run has stopped.

    Raises:
        Conflict: Another run uses it.
    """
    with (data / "local.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"Another local build uses {data}.",
                code="already_running",
                hint="Wait for its end, or use another folder: --data FOLDER.",
            ) from None
        end = time.monotonic() + STOP_TIME
        while is_locked(data):
            if time.monotonic() > end:
                raise Conflict(
                    f"A service still runs on {data}.",
                    code="already_running",
                    hint="Stop that `mbs up` with Ctrl-C.",
                )
            time.sleep(0.1)
        yield
