"""Are a module's components there, and do they look like something that can be built?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from posixpath import dirname
from typing import TypeVar

from mbs.errors import InvalidInput, Problem, Unprocessable
from scm.errors import ScmError
from scm.git import Repository, Snapshot
from scm.options import ScmOptions
from scm.sources import Lookaside, check_sources, parse_sources
from scm.specs import Spec, SpecReader
from scm.urls import has_prefix, parse_repository, shown


@dataclass(frozen=True)
class ComponentRequest:
    """A component as the module names it.

    :param repository: url of its dist-git repository (the configured one plus its name, or its own).
    :param ref: branch, tag or commit; empty: the configured default branch.
    """

    package: str
    repository: str
    ref: str = ""


@dataclass(frozen=True)
class VerifiedComponent:
    """A component that can be built, as far as can be told without building it.

    :param repository: as it was asked for: build systems have allow-lists of their own.
    :param ref: that was resolved.
    :param commit: the full commit.
    :param spec: what its spec file says.
    :param warnings: about what could not be told.
    """

    package: str
    repository: str
    ref: str
    commit: str
    spec: Spec
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """``url#<full commit>``, what build systems take."""
        return f"{self.repository}#{self.commit}"


def verify_components(requests: Sequence[ComponentRequest], options: ScmOptions) -> list[VerifiedComponent]:
    """Look at all components at once, at most ``options.workers`` at the same time.

    :returns: in the order of the requests.
    :raises Unprocessable: ``components_unavailable`` (422); its ``problems`` name every fault of every
        component, with what was tried and what to do.
    """
    with (
        SpecReader(options) as reader,
        Lookaside(options) as lookaside,
        ThreadPoolExecutor(options.workers) as pool,
    ):
        ends = time.monotonic() + options.deadline
        contents = pool.map(
            lambda request: _attempt(request, lambda: _fetch(request, options, ends)), requests
        )
        # The map answers in order, so spec files are read here while later components are being fetched.
        inspected = [_then(content, lambda one: _inspect(one, reader)) for content in contents]
        verdicts = list(
            pool.map(lambda one: _then(one, lambda it: _check(it, lookaside, options)), inspected)
        )
    problems = [
        problem for verdict in verdicts if isinstance(verdict, _Faulty) for problem in verdict.problems
    ]
    if problems:
        raise _unavailable(problems)
    return [verdict for verdict in verdicts if isinstance(verdict, VerifiedComponent)]


@dataclass(frozen=True)
class _Content:
    """What was read from a component's repository."""

    request: ComponentRequest
    ref: str
    commit: str
    files: frozenset[str]
    spec_path: str
    spec: bytes
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
    """A component that is out; the steps that follow pass it on."""

    request: ComponentRequest
    problems: tuple[Problem, ...]


_Before = TypeVar("_Before", _Content, _Inspected)
_After = TypeVar("_After")


def _attempt(request: ComponentRequest, step: Callable[[], _After]) -> _After | _Faulty:
    """Do a step for a component; a fault puts the component out."""
    try:
        return step()
    except ScmError as error:
        problem = error.problem(request.package)
    except InvalidInput as error:
        problem = Problem(error.code, error.message, component=request.package, hint=error.hint)
    return _Faulty(request, (problem,))


def _then(before: _Before | _Faulty, step: Callable[[_Before], _After]) -> _After | _Faulty:
    return before if isinstance(before, _Faulty) else _attempt(before.request, lambda: step(before))


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
            f"There was no time to look at {address.url}.",
            code="out_of_time",
            tried=f"all components within {options.deadline:g} seconds",
            hint="Try again later; perhaps a server answers slowly today.",
        )
    ref = request.ref or options.default_branch
    within = replace(options, timeout=min(left, options.timeout))
    with Repository(request.repository, within) as repository:
        snapshot = repository.snapshot(repository.resolve(ref))
        path = find_spec(snapshot)
        return _Content(
            request=request,
            ref=ref,
            commit=snapshot.commit,
            files=frozenset(snapshot.files),
            spec_path=path,
            spec=snapshot.read(path, options.max_spec),
            sources=read_sources_file(snapshot, request.package, options),
        )


def find_spec(snapshot: Snapshot) -> str:
    """The only spec file: in the root, else in ``SPECS/``, where build systems look."""
    specs = sorted(path for path in snapshot.files if path.endswith(".spec"))
    found = [path for path in specs if not dirname(path)] or [
        path for path in specs if dirname(path) == "SPECS"
    ]
    if len(found) == 1:
        return found[0]
    where = f"{snapshot.repository.url} at commit {snapshot.commit}"
    if found:
        raise ScmError(
            f"There are {len(found)} spec files in {where}.",
            code="two_specs",
            tried=", ".join(found[:10]),
            hint="Leave exactly one.",
        )
    retired = "dead.package" in snapshot.files
    raise ScmError(
        f"There is no spec file in {where}.",
        code="no_spec",
        tried="*.spec, SPECS/*.spec",
        hint="The package was retired on this branch: name another ref." if retired else "Commit one.",
    )


def read_sources_file(snapshot: Snapshot, package: str, options: ScmOptions) -> str:
    """What the files that list uploads say, in both layouts of dist-git."""
    paths = [path for path in ("sources", f".{package}.metadata") if path in snapshot.files]
    return "\n".join(snapshot.read(path, options.max_sources).decode("utf-8", "replace") for path in paths)


def _inspect(content: _Content, reader: SpecReader) -> _Inspected:
    return _Inspected(content, reader.read(content.spec, content.spec_path))


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
    if faults:
        return _Faulty(request, tuple(fault.problem(request.package) for fault in faults))
    return VerifiedComponent(
        package=request.package,
        repository=request.repository,
        ref=content.ref,
        commit=content.commit,
        spec=spec,
        warnings=(*spec.warnings, *warnings),
    )


def _no_dist(path: str, spec: Spec) -> ScmError:
    return ScmError(
        f"The release {spec.release[:100]} in {path} lacks %{{?dist}}: builds for several modules would have "
        "the same name, version and release.",
        code="no_dist_tag",
        tried="reading it with norpm",
        hint=f"Write 'Release: {spec.release[:100]}%{{?dist}}'.",
    )


def _unavailable(problems: Sequence[Problem]) -> Unprocessable:
    names = list(dict.fromkeys(problem.component for problem in problems))
    listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    count = f"{len(names)} component" + ("s" if len(names) > 1 else "")
    return Unprocessable(
        f"{count} cannot be built: {listed}.",
        code="components_unavailable",
        hint="Mend what the problems name, then submit again.",
        problems=problems,
    )
