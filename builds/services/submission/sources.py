"""Read the document of a submission and all that it names: nothing is written to the database here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.utils import timezone

from builds import resolvers
from builds.models import ModuleBuild
from builds.selectors import reuse
from builds.services.build_system import build_system
from builds.services.submission.request import SubmissionRequest
from mbs import expansion
from mbs.batches import Included, Placed, place
from mbs.errors import Forbidden, InvalidInput, MBSError, Problem, Unprocessable
from mbs.modulemd import RpmComponent, StreamV2, check_names
from mbs.modulemd.parsing import parse_streams
from mbs.names import NAME
from scm.components import ComponentRequest, OpenComponent, VerifiedComponent, check_components
from scm.modules import fetch_modulemd
from scm.options import ScmOptions


@dataclass(frozen=True)
class PreparedSubmission:
    """Everything that is needed to record the builds of a submission.

    :param scmurl: of exactly the revision that was read; None for a document that was sent.
    :param version: the document's, or made from the time of the commit, without the base module's prefix.
    :param components: in the order of their batches, each with what git says of it, if it did in time.
    :param reuse_from: the build that the request wants components from.
    """

    documents: Sequence[StreamV2]
    scmurl: str | None
    commit: str
    version: int
    components: Sequence[tuple[Placed, VerifiedComponent | OpenComponent]]
    expansion: expansion.Expansion
    reuse_from: ModuleBuild | None = None

    def ignored_refs(self, request: SubmissionRequest) -> list[str]:
        """Return the names in ``rpm_component_ref_overrides`` that no component has."""
        known = {placed.component.name for placed, _ in self.components}
        return sorted(set(request.rpm_component_ref_overrides) - known)


def prepare(request: SubmissionRequest) -> PreparedSubmission:
    """Fetch, validate, expand and verify.

    :raises MBSError: the first step that finds faults names all that it found.
    """
    needs_dist = build_system().capabilities.needs_dist
    options = replace(ScmOptions.from_options(settings.MBS), needs_dist=needs_dist)
    reuse_from = (
        reuse.reference_build(request.reuse_components_from) if request.reuse_components_from else None
    )
    scmurl, commit, moment = None, "", timezone.now()
    stream = _stream(request.branch or options.default_branch)
    if request.modulemd:
        text, name = request.modulemd, request.file_name if NAME.fits(request.file_name) else ""
    else:
        source = fetch_modulemd(request.scmurl, request.branch, options)
        text, name = source.text, source.name
        scmurl, commit, moment = source.scmurl, source.commit, source.commit_time
    documents = parse_streams(text, strict=True, name=name, stream=stream)
    for each in documents:
        # The checks of a request let these stand beside a document that is sent only.
        each.name, each.stream = request.module_name or each.name, request.module_stream or each.stream
    document = documents[0]
    _run_all(
        lambda: check_names(documents),
        lambda: _check_declared("name", request, document, name),
        lambda: _check_declared("stream", request, document, stream),
        lambda: _check_buildable(document),
        lambda: _check_xmd(document),
        lambda: _check_custom_sources(document),
    )
    expanded, components = _run_all(
        lambda: expand(documents, request), lambda: _components(documents, request, options)
    )
    return PreparedSubmission(
        documents=documents,
        scmurl=scmurl,
        commit=commit,
        version=_version(request, document, moment),
        components=components,
        expansion=expanded,
        reuse_from=reuse_from,
    )


def _stream(branch: str) -> str:
    """The stream that a branch stands for."""
    return branch if settings.MBS.ALLOW_DASHES_IN_SVC else branch.replace("-", "_")


def expand(documents: Sequence[StreamV2], request: SubmissionRequest) -> expansion.Expansion:
    """The builds that documents stand for, against the modules that ``RESOLVER`` knows."""
    return expansion.expand(
        documents,
        resolvers.universe(settings.MBS),
        expansion.Settings.from_options(settings.MBS),
        expansion.Request(
            buildrequire_overrides=request.buildrequire_overrides,
            require_overrides=request.require_overrides,
            branch=request.branch,
        ),
    )


def _version(request: SubmissionRequest, document: StreamV2, committed: datetime) -> int:
    """The document's, or the time of the commit; of a build made anew the time of the request."""
    if document.version and not request.new_version:
        return document.version
    moment = timezone.now() if request.new_version else committed
    return int(moment.astimezone(UTC).strftime("%Y%m%d%H%M%S"))


def _run_all(*steps: Callable[[], Any]) -> list[Any]:
    """Do steps that do not depend on each other, and return what they return.

    :raises MBSError: the error of the only step that fails; that of the first, with the problems of all, when
        several do.
    """
    results: list[Any] = []
    errors: list[MBSError] = []
    for step in steps:
        try:
            results.append(step())
        except (InvalidInput, Forbidden, Unprocessable) as error:
            errors.append(error)
    if len(errors) > 1:
        problems = [problem for error in errors for problem in _problems(error)]
        first = errors[0]
        message = f"{first.message} (and {len(problems) - len(_problems(first))} other faults)"
        raise type(first)(message, code=first.code, hint=first.hint, problems=problems)
    if errors:
        raise errors[0]
    return results


def _problems(error: MBSError) -> Sequence[Problem]:
    return error.problems or [Problem(error.code, error.message, hint=error.hint)]


def _check_declared(kind: str, request: SubmissionRequest, document: StreamV2, found: str) -> None:
    """Check the name or the stream that the document says.

    :param found: the name of the repository or the branch, or what was sent beside the document.
    """
    options = settings.MBS
    declared: str = getattr(document, kind)
    allowed = getattr(options, f"ALLOW_{kind.upper()}_OVERRIDE_FROM_SCM")
    if not declared:
        raise _key_error(
            kind,
            f"The document does not say the module's {kind}.",
            code=f"no_{kind}",
            hint=f"Set data.{kind}, or give module_{kind}"
            + (" or a file whose name is one that modules may have." if kind == "name" else "."),
        )
    if request.scmurl and declared != found and not allowed:
        option = "repository" if kind == "name" else "branch"
        raise _key_error(
            kind,
            f"The document's {kind} is {declared[:80]!r}, but its {option} is {found[:80]!r}.",
            code=f"other_{kind}",
            hint=f"Leave data.{kind} out, or make both the same.",
        )
    if kind == "stream" and "-" in declared and not options.ALLOW_DASHES_IN_SVC:
        raise _key_error(
            kind,
            f"The module's stream {declared[:80]!r} holds a dash, which is not allowed here.",
            code="invalid_stream",
            hint="Use letters, digits, dots and underscores.",
        )


def _key_error(kind: str, message: str, *, code: str, hint: str) -> Unprocessable:
    problem = Problem(code, message, key=f"data.{kind}", hint=hint)
    return Unprocessable(message, code=code, hint=hint, problems=[problem])


def _check_buildable(document: StreamV2) -> None:
    if document.name in settings.MBS.BASE_MODULE_NAMES:
        raise InvalidInput(
            f"{document.name} is a base module: it cannot be built.",
            code="base_module",
            hint="Import base modules: `mbs import FILE`; operators: `mbs-manager import_module FILE`.",
        )


def _check_xmd(document: StreamV2) -> None:
    """The service's own notes are no author's to write, but for two keys of privileged modules."""
    if not isinstance(document.xmd, dict) or "mbs" not in document.xmd:
        return
    privileged = document.name in settings.MBS.ALLOWED_PRIVILEGED_MODULE_NAMES
    allowed = {"disttag_marking", "koji_tag_arches"} if privileged else set()
    if not document.mbs or set(document.mbs) - allowed:
        message = "The key mbs in data.xmd is reserved for the service."
        code, hint = "reserved_xmd", "Remove data.xmd.mbs from the document."
        problem = Problem(code, message, key="data.xmd.mbs", hint=hint)
        raise Unprocessable(message, code=code, hint=hint, problems=[problem])


def _components(
    documents: Sequence[StreamV2], request: SubmissionRequest, options: ScmOptions
) -> list[tuple[Placed, VerifiedComponent | OpenComponent]]:
    placed = place(documents[0], partial(_included, options=options))
    overrides = dict(request.rpm_component_ref_overrides)
    names = {each.component.name for each in placed}
    if len(names) < len(placed):
        twice = next(n for n, number in Counter(each.component.name for each in placed).items() if number > 1)
        raise Unprocessable(
            f"The package {twice} is built by several components of the module.",
            code="package_twice",
            hint="A module builds a package once.",
        )
    whitelists = [frozenset(each.buildopts.rpm_whitelist) for each in documents]
    requests = [
        with_allowed_names(
            _component_request(each.component, overrides), each.component.buildonly, whitelists
        )
        for each in placed
    ]
    patience = settings.MBS.SCM_SUBMIT_TIMEOUT
    return list(zip(placed, check_components(requests, options, patience) if requests else [], strict=True))


def with_allowed_names(
    request: ComponentRequest, buildonly: bool, whitelists: Sequence[frozenset[str]]
) -> ComponentRequest:
    """Add the names of the source packages that a component may build.

    A whitelist takes the place of the components in what a module holds (``mbs.final``), so a component that
    is shipped must be in it.

    :param buildonly: it is in no module, hence needs to be in no whitelist.
    :param whitelists: one for each stream that the document stands for; a package must fit them all.
    """
    own = frozenset({request.package})
    allowed = [listed | own if buildonly or not listed else listed for listed in whitelists]
    names = frozenset.intersection(*allowed)
    # Streams whose lists have nothing in common leave no name to compare with.
    return replace(request, names=names or own, whitelisted=any(whitelists) and not buildonly)


def _check_custom_sources(document: StreamV2) -> None:
    """Refuse all components that name places of their own where that is not allowed."""
    _run_all(*(partial(_check_custom_source, component) for component in document.rpm_components.values()))


def _check_custom_source(component: RpmComponent) -> None:
    options = settings.MBS
    for kind, value, allowed in (
        ("repository", component.repository, options.RPMS_ALLOW_REPOSITORY),
        ("cache", component.cache, options.RPMS_ALLOW_CACHE),
    ):
        if value and not allowed:
            message = f"Component {component.name} names a {kind} of its own, which is not allowed here."
            code, hint = f"custom_{kind}", f"Remove {kind} from the component."
            key = f"data.components.rpms.{component.name}.{kind}"
            problem = Problem(code, message, component.name, key, hint=hint)
            raise Forbidden(message, code=code, hint=hint, problems=[problem])


def _component_request(component: RpmComponent, overrides: Mapping[str, str]) -> ComponentRequest:
    _check_custom_source(component)
    options = settings.MBS
    repository = component.repository or f"{options.RPMS_DEFAULT_REPOSITORY}{component.name}"
    return ComponentRequest(component.name, repository, overrides.get(component.name) or component.ref or "")


def _included(key: str, component: Included, options: ScmOptions) -> StreamV2:
    """The document of an included module."""
    allowed = settings.MBS.MODULES_ALLOW_REPOSITORY
    if component.repository and not allowed:
        raise Forbidden(
            f"The included module {key} names a repository of its own, which is not allowed here.",
            code="custom_repository",
            hint="Remove repository from the module.",
        )
    repository = component.repository or f"{settings.MBS.MODULES_DEFAULT_REPOSITORY}{component.name}"
    source = fetch_modulemd(f"{repository}?#{component.ref or options.default_branch}", "", options)
    streams = parse_streams(source.text, strict=True, name=source.name, stream=component.ref or "")
    if len(streams) > 1:
        problem = Problem(
            "several_streams", f"The included module {key} stands for several streams.", component=key
        )
        raise Unprocessable(problem.message, code=problem.code, problems=[problem])
    check_names(streams)
    return streams[0]
