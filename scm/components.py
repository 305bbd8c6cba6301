"""Check that the components of a module exist in git and look buildable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from posixpath import dirname
from typing import TypeVar

from mbs.errors import InvalidInput, Problem, Unprocessable
from mbs.text import printable
from scm.errors import ScmError
from scm.git import Repository, Snapshot
from scm.options import ScmOptions
from scm.sources import Lookaside, check_sources, parse_sources
from scm.specs import Spec, SpecReader, inclusions
from scm.urls import has_prefix, parse_repository, shown


@dataclass(frozen=True)
class ComponentRequest:
    """A component as the module's document names it.

    Attributes:
        repository: URL of the component's dist-git repository: its own, or the configured one with the
            package name.
        ref: Branch, tag or commit; empty for the configured default branch.
        names: Source packages that the component may build; empty for any.
        whitelisted: Whether ``names`` is ``buildopts.rpms.whitelist``.
    """

    package: str
    repository: str
    ref: str = ""
    names: frozenset[str] = frozenset()
    whitelisted: bool = False


@dataclass(frozen=True)
class VerifiedComponent:
    """A component that can be built, as far as can be determined without building it.

    Attributes:
        repository: As requested, since build systems have their own allow-lists.
        ref: The ref that was resolved.
        commit: The full commit.
        spec: Content of the spec file.
        warnings: Possible problems that only a build can confirm.
    """

    package: str
    repository: str
    ref: str
    commit: str
    spec: Spec
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """``url#<full commit>``, as build systems expect it."""
        return f"{self.repository}#{self.commit}"


@dataclass(frozen=True)
class OpenComponent:
    """A component that could not be checked in time.

    Attributes:
        ref: As requested, or the default branch.
    """

    package: str
    repository: str
    ref: str

    @property
    def commit(self) -> str:
        """An empty text, since the commit is unknown."""
        return ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes for the user."""
        return ("It could not be checked in time; it is checked when the build is initialized.",)


def verify_components(requests: Sequence[ComponentRequest], options: ScmOptions) -> list[VerifiedComponent]:
    """Check all components concurrently, at most ``options.workers`` at a time.

    Returns:
        The components in the order of the requests.

    Raises:
        Unprocessable: ``components_unavailable`` (422); its ``problems`` list every fault of every
            component, with what was tried and what to do.
    """
    found, problems = examine_components(requests, options)
    if problems:
        raise unavailable(problems)
    return [each for each in found if isinstance(each, VerifiedComponent)]


def check_components(
    requests: Sequence[ComponentRequest], options: ScmOptions, patience: float
) -> list[VerifiedComponent | OpenComponent]:
    """Check all components like ``verify_components``, but for at most ``patience`` seconds.

    A component that is not checked by then becomes an ``OpenComponent``.

    Raises:
        Unprocessable: See ``verify_components``; with the faults that were found in time.
    """
    found, problems = examine_components(requests, options, patience)
    if problems:
        raise unavailable(problems)
    return [each for each in found if each is not None]


def examine_components(
    requests: Sequence[ComponentRequest], options: ScmOptions, patience: float | None = None
) -> tuple[list[VerifiedComponent | OpenComponent | None], list[Problem]]:
    """Check all components concurrently, and return them and their faults.

    Args:
        requests: The components.
        options: Options of the checks. Without ``patience``, a component that is not checked within
            ``options.deadline`` seconds has a fault.
        patience: Seconds for the checks. A component that is not checked by then is an ``OpenComponent``.

    Returns:
        The components in the order of the requests, with None for each that has a fault; and all faults.
    """
    limit = _Limit(
        time.monotonic() + (options.deadline if patience is None else patience), patience is not None
    )
    if patience is not None:
        options = replace(options, spec_deadline=min(patience, options.spec_deadline))
    with (
        SpecReader(options) as reader,
        Lookaside(options, limit.ends) as lookaside,
        ThreadPoolExecutor(options.workers) as pool,
    ):
        contents = pool.map(
            lambda request: _attempt(request, limit, lambda: _fetch(request, options, limit.ends)), requests
        )
        # The map yields in order, so spec files are read here while later components are still being fetched.
        inspected = [_then(content, limit, lambda one: _inspect(one, reader)) for content in contents]
        verdicts = list(
            pool.map(lambda one: _then(one, limit, lambda it: _check(it, lookaside, options)), inspected)
        )
    problems = [
        problem for verdict in verdicts if isinstance(verdict, _Faulty) for problem in verdict.problems
    ]
    return [_outcome(verdict, options) for verdict in verdicts], problems


@dataclass(frozen=True)
class _Limit:
    """The time limit for the components of a module.

    Attributes:
        ends: End of the time, by the monotonic clock.
        open_after: Whether unchecked components are open afterwards. If so, later faults are ignored,
            because a stopped command may have caused them.
    """

    ends: float
    open_after: bool

    @property
    def is_over(self) -> bool:
        return self.open_after and time.monotonic() >= self.ends


@dataclass(frozen=True)
class _Content:
    """Files that were read from a component's repository."""

    request: ComponentRequest
    ref: str
    commit: str
    files: frozenset[str]
    spec_path: str
    spec: bytes
    included: Mapping[str, bytes]
    sources: str


@dataclass(frozen=True)
class _Inspected:
    content: _Content
    spec: Spec

    @property
    def request(self) -> ComponentRequest:
        return self.content.request


@dataclass(frozen=True)
class _Faulty:
    """A component with faults; the following steps skip it."""

    request: ComponentRequest
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Open:
    """A component that was not checked in time; the following steps skip it."""

    request: ComponentRequest


_Before = TypeVar("_Before", _Content, _Inspected)
_After = TypeVar("_After")


def _attempt(
    request: ComponentRequest, limit: _Limit, step: Callable[[], _After]
) -> _After | _Faulty | _Open:
    """Run a step for a component and catch its faults."""
    if limit.is_over:
        return _Open(request)
    result: _After | _Faulty
    try:
        result = step()
    except ScmError as error:
        result = _Faulty(request, (error.problem(request.package),))
    except InvalidInput as error:
        problem = Problem(error.code, error.message, component=request.package, hint=error.hint)
        result = _Faulty(request, (problem,))
    return _Open(request) if limit.is_over else result


def _then(
    before: _Before | _Faulty | _Open, limit: _Limit, step: Callable[[_Before], _After]
) -> _After | _Faulty | _Open:
    if isinstance(before, _Faulty | _Open):
        return before
    return _attempt(before.request, limit, lambda: step(before))


def _outcome(
    verdict: VerifiedComponent | _Faulty | _Open, options: ScmOptions
) -> VerifiedComponent | OpenComponent | None:
    match verdict:
        case _Open(request):
            return OpenComponent(request.package, request.repository, request.ref or options.default_branch)
        case _Faulty():
            return None
    return verdict


def _fetch(request: ComponentRequest, options: ScmOptions, ends: float) -> _Content:
    address = parse_repository(request.repository)
    if options.component_prefixes and not has_prefix(address, options.component_prefixes):
        raise ScmError(
            f"Components may not come from {shown(request.repository)}.",
            code="repository_not_allowed",
            hint="Use a repository under " + ", ".join(options.component_prefixes) + ".",
        )
    left = ends - time.monotonic()
    if left <= 0:
        raise ScmError(
            f"There was no time left to read {address.url}.",
            code="out_of_time",
            tried=f"all components within {options.deadline:g} seconds",
            hint="Try again later; a server may be slow at present.",
        )
    ref = request.ref or options.default_branch
    within = replace(options, timeout=min(left, options.timeout))
    with Repository(request.repository, within) as repository:
        snapshot = repository.snapshot(repository.resolve(ref))
        path = find_spec(snapshot)
        spec = snapshot.read(path, options.max_spec)
        return _Content(
            request=request,
            ref=ref,
            commit=snapshot.commit,
            files=frozenset(snapshot.files),
            spec_path=path,
            spec=spec,
            included=_read_included(snapshot, spec, options),
            sources=read_sources_file(snapshot, request.package, options),
        )


def find_spec(snapshot: Snapshot) -> str:
    """Return the path of the only spec file in the root folder or, if there is none, in ``SPECS/``."""
    specs = sorted(path for path in snapshot.files if path.endswith(".spec"))
    found = [path for path in specs if not dirname(path)] or [
        path for path in specs if dirname(path) == "SPECS"
    ]
    unprintable = next((path for path in found if not path.isprintable()), "")
    if unprintable:
        raise ScmError(
            f"The name of the spec file {printable(unprintable)[:100]} has unprintable characters.",
            code="spec_invalid",
            hint="Rename it.",
        )
    if len(found) == 1:
        return found[0]
    where = f"{snapshot.repository.url} at commit {snapshot.commit}"
    if found:
        raise ScmError(
            f"There are {len(found)} spec files in {where}.",
            code="two_specs",
            tried=", ".join(found[:10]),
            hint="Remove all but one.",
        )
    retired = "dead.package" in snapshot.files
    raise ScmError(
        f"There is no spec file in {where}.",
        code="no_spec",
        tried="*.spec, SPECS/*.spec",
        hint="The package was retired on this branch: name another ref."
        if retired
        else "Commit a spec file.",
    )


def read_sources_file(snapshot: Snapshot, package: str, options: ScmOptions) -> str:
    """Return the content of the files that list uploads, in both layouts of dist-git."""
    paths = [path for path in ("sources", f".{package}.metadata") if path in snapshot.files]
    return "\n".join(snapshot.read(path, options.max_sources).decode("utf-8", "replace") for path in paths)


def _read_included(snapshot: Snapshot, spec: bytes, options: ScmOptions) -> dict[str, bytes]:
    """Return the files that a spec file includes, without those that cannot be read."""
    found = {}
    for name, path in inclusions(spec, snapshot.files).items():
        with suppress(ScmError):
            found[name] = snapshot.read(path, options.max_spec)
    return found


def _inspect(content: _Content, reader: SpecReader) -> _Inspected:
    return _Inspected(content, reader.read(content.spec, content.spec_path, content.included))


def _check(component: _Inspected, lookaside: Lookaside, options: ScmOptions) -> VerifiedComponent | _Faulty:
    content, spec, request = component.content, component.spec, component.request
    faults, warnings = check_sources(
        spec.sources + spec.patches,
        package=request.package,
        committed=content.files,
        uploads=parse_sources(content.sources),
        template=lookaside.template(request.repository),
        lookaside=lookaside,
    )
    if not spec.dist:
        lack = _no_dist(content.spec_path, spec)
        if options.needs_dist:
            faults = [*faults, lack]
        else:
            warnings = [*warnings, f"{lack.message} {lack.hint}"]
    problems = [fault.problem(request.package) for fault in faults]
    if request.names and spec.name not in request.names:
        other = _other_package(content.spec_path, spec, request)
        if spec.name_certain:
            problems.append(other)
        else:
            warnings = [*warnings, f"{other.message} {other.hint}"]
    if problems:
        return _Faulty(request, tuple(problems))
    return VerifiedComponent(
        package=request.package,
        repository=request.repository,
        ref=content.ref,
        commit=content.commit,
        spec=spec,
        warnings=(*spec.warnings, *warnings),
    )


def _other_package(path: str, spec: Spec, request: ComponentRequest) -> Problem:
    """Return the problem of a spec file for a package that the module does not list."""
    name, listed = spec.name[:100], "buildopts.rpms.whitelist"
    certainly = "is" if spec.name_certain else "seems to be"
    if request.whitelisted:
        message = f"The spec file {path} {certainly} of the package {name}, which {listed} does not list."
        hint = f"Add {name} to {listed}: packages that are not in a whitelist are left out of the module."
    else:
        message = (
            f"The spec file {path} {certainly} of the package {name}, but the component is {request.package}."
        )
        hint = f"Name the component after the package, or list the package in {listed}."
    return Problem(
        "not_whitelisted" if request.whitelisted else "other_package",
        message,
        request.package,
        f"data.{listed}",
        tried="reading it with norpm",
        hint=hint,
    )


def _no_dist(path: str, spec: Spec) -> ScmError:
    return ScmError(
        f"The release {spec.release[:100]} in {path} lacks %{{?dist}}: builds for several modules would have "
        "the same name, version and release.",
        code="no_dist_tag",
        tried="reading it with norpm",
        hint=f"Write 'Release: {spec.release[:100]}%{{?dist}}'.",
    )


def unavailable(problems: Sequence[Problem]) -> Unprocessable:
    """Return the error for components that cannot be built, with all their faults."""
    names = list(dict.fromkeys(problem.component for problem in problems))
    listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    count = f"{len(names)} component" + ("s" if len(names) > 1 else "")
    return Unprocessable(
        f"{count} cannot be built: {listed}.",
        code="components_unavailable",
        hint="Correct the problems, then submit again.",
        problems=problems,
    )
