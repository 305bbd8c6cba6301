"""Read the document of a submission and everything that it names, without writing to the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from django.conf import settings
from django.utils import timezone

from builds import resolvers
from builds.models import ModuleBuild
from builds.selectors import reuse
from builds.services.build_system import build_system
from builds.services.submission.faults import Faults, in_included, through_modules
from builds.services.submission.patience import Patience
from builds.services.submission.request import SubmissionRequest
from mbs import expansion
from mbs.batches import Placed, place
from mbs.errors import Forbidden, InvalidInput, Problem, Unprocessable
from mbs.modulemd import (
    ModuleComponent,
    ModulemdError,
    RpmComponent,
    StreamV2,
    check_names,
    parse_stream,
    read_streams,
)
from mbs.names import NAME
from scm.components import ComponentRequest, OpenComponent, VerifiedComponent, check_components
from scm.options import ScmOptions

#: Keys that decide what is built against what.
EXPANDED_KEYS = (
    "data.name",
    "data.stream",
    "data.context",
    "data.dependencies",
    "data.configurations",
    "data.xmd",
)


@dataclass(frozen=True)
class PreparedSubmission:
    """Everything that is needed to draft the builds of a submission.

    Attributes:
        documents: The document as stream documents, one for each stream that it describes.
        scmurl: Address with the commit that was read; None for a document in the request.
        commit: The commit; empty for a document in the request.
        version: The document's version, or the time of the commit, without the base module's prefix.
        components: The components in the order of their batches, with the result of the check in git.
        expansion: The expansion of the documents.
        reuse_from: The build that the request names in ``reuse_components_from``.
        text: The document as its author wrote it.
    """

    documents: Sequence[StreamV2]
    scmurl: str | None
    commit: str
    version: int
    components: Sequence[tuple[Placed[RpmComponent], VerifiedComponent | OpenComponent]]
    expansion: expansion.Expansion
    reuse_from: ModuleBuild | None = None
    text: str = ""

    def unknown_refs(self, request: SubmissionRequest) -> list[str]:
        """Return the names in ``rpm_component_ref_overrides`` that no component has."""
        known = {placed.component.name for placed, _ in self.components}
        return sorted(set(request.rpm_component_ref_overrides) - known)


def prepare(request: SubmissionRequest) -> PreparedSubmission:
    """Fetch and validate the document, expand it, and check its components in git.

    Raises:
        MBSError: The document or what it names has faults. The error contains all independent ones.
    """
    patience = Patience()
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
        source = patience.fetch(request.scmurl, request.branch, options)
        text, name = source.text, source.name
        scmurl, commit, moment = source.scmurl, source.commit, source.commit_time
    documents, malformed = read_streams(text, strict=True, name=name, stream=stream)
    for each in documents:
        # Requests may set these only together with a document.
        each.name, each.stream = request.module_name or each.name, request.module_stream or each.stream
    document = documents[0]
    faults = Faults(text, malformed)
    faults.check(lambda: check_names(documents))
    faults.check(lambda: _check_declared("name", request, document, name))
    faults.check(lambda: _check_declared("stream", request, document, stream))
    faults.check(lambda: _check_buildable(document), "data.name")
    faults.check(lambda: _check_xmd(document))
    for component in document.rpm_components.values():
        faults.check(partial(_check_custom_source, component))
    # Only what has no fault so far is looked up: git and other services see no name that is refused.
    expanded = components = None
    if not faults.cut and not faults.concern(*EXPANDED_KEYS):
        expanded = faults.check(lambda: expand(documents, request), "data.dependencies")
    if not faults.cut:
        sound = [faults.without_faulty_components(each) for each in documents]
        components = faults.check(lambda: _components(sound, request, options, patience), "data.components")
    faults.raise_any()
    assert expanded is not None, "a fault was not raised"
    assert components is not None, "a fault was not raised"
    return PreparedSubmission(
        documents=documents,
        scmurl=scmurl,
        commit=commit,
        version=_version(request, document, moment),
        components=components,
        expansion=expanded,
        reuse_from=reuse_from,
        text=text,
    )


def _stream(branch: str) -> str:
    """Return the stream of a branch."""
    return branch if settings.MBS.ALLOW_DASHES_IN_SVC else branch.replace("-", "_")


def expand(documents: Sequence[StreamV2], request: SubmissionRequest) -> expansion.Expansion:
    """Expand documents, with the modules that the configured resolver finds."""
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
    """Return the document's version, or the time of the commit, or for a new version the present time."""
    if document.version and not request.new_version:
        return document.version
    moment = timezone.now() if request.new_version else committed
    return int(moment.astimezone(UTC).strftime("%Y%m%d%H%M%S"))


def _check_declared(kind: str, request: SubmissionRequest, document: StreamV2, found: str) -> None:
    """Check the document's name or stream.

    Args:
        kind: ``name`` or ``stream``.
        request: The request.
        document: The document.
        found: The repository's name or the branch; for a document in the request, the file's name or branch.
    """
    options = settings.MBS
    declared: str = getattr(document, kind)
    allowed = getattr(options, f"ALLOW_{kind.upper()}_OVERRIDE_FROM_SCM")
    if not declared:
        raise _key_error(
            kind,
            f"The document does not set the module's {kind}.",
            code=f"no_{kind}",
            hint=f"Set data.{kind}, or give module_{kind}"
            + (" or a file name that is valid for a module." if kind == "name" else "."),
        )
    if request.scmurl and declared != found and not allowed:
        option = "repository" if kind == "name" else "branch"
        raise _key_error(
            kind,
            f"The document's {kind} is {declared[:80]!r}, but its {option} is {found[:80]!r}.",
            code=f"other_{kind}",
            hint=f"Remove data.{kind} from the document, or make both equal.",
        )
    if kind == "stream" and "-" in declared and not options.ALLOW_DASHES_IN_SVC:
        raise _key_error(
            kind,
            f"The module's stream {declared[:80]!r} contains a dash, which this service does not allow.",
            code="invalid_stream",
            hint="Use letters, digits, dots and underscores.",
        )


def _key_error(kind: str, message: str, *, code: str, hint: str) -> Unprocessable:
    problem = Problem(code, message, key=f"data.{kind}", hint=hint)
    return Unprocessable(message, code=code, hint=hint, problems=[problem])


def _check_buildable(document: StreamV2) -> None:
    if document.name in settings.MBS.BASE_MODULE_NAMES:
        raise InvalidInput(
            f"{document.name} is a base module and cannot be built.",
            code="base_module",
            hint="Import base modules: `mbs import FILE`; operators: `mbs-manager import_module FILE`.",
        )


def _check_xmd(document: StreamV2) -> None:
    """Refuse ``xmd.mbs``, which belongs to the service, except two keys of privileged modules."""
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
    documents: Sequence[StreamV2], request: SubmissionRequest, options: ScmOptions, patience: Patience
) -> list[tuple[Placed[RpmComponent], VerifiedComponent | OpenComponent]]:
    placed = place(documents[0], partial(_included, options=options, patience=patience))
    overrides = dict(request.rpm_component_ref_overrides)
    names = {each.component.name for each in placed}
    if len(names) < len(placed):
        twice = next(n for n, number in Counter(each.component.name for each in placed).items() if number > 1)
        raise Unprocessable(
            f"Several components of the module build the package {twice}.",
            code="package_twice",
            hint="Remove all but one of these components.",
        )
    whitelists = [frozenset(each.buildopts.rpm_whitelist) for each in documents]
    requests = [
        with_allowed_names(
            _component_request(each.component, overrides), each.component.buildonly, whitelists
        )
        for each in placed
    ]
    try:
        checked = check_components(requests, options, patience.left) if requests else []
    except Unprocessable as error:
        raise through_modules(placed, error) from error
    return list(zip(placed, checked, strict=True))


def with_allowed_names(
    request: ComponentRequest, buildonly: bool, whitelists: Sequence[frozenset[str]]
) -> ComponentRequest:
    """Add the names that the component's source package may have.

    If a document has a whitelist, the module contains the packages of the whitelist instead of its components
    (``mbs.final``). So a component that is shipped must be in it.

    Args:
        request: The component.
        buildonly: Whether the component is not shipped, and so need not be in a whitelist.
        whitelists: Whitelists of the stream documents; the package must be in all of them.
    """
    own = frozenset({request.package})
    allowed = [listed | own if buildonly or not listed else listed for listed in whitelists]
    names = frozenset.intersection(*allowed)
    # If the whitelists have no name in common, the component's own name is required.
    return replace(request, names=names or own, whitelisted=any(whitelists) and not buildonly)


def _check_custom_source(component: RpmComponent) -> None:
    options = settings.MBS
    for kind, value, allowed in (
        ("repository", component.repository, options.RPMS_ALLOW_REPOSITORY),
        ("cache", component.cache, options.RPMS_ALLOW_CACHE),
    ):
        if value and not allowed:
            message = f"Component {component.name} sets {kind}, which this service does not allow."
            code, hint = f"custom_{kind}", f"Remove {kind} from the component."
            key = f"data.components.rpms.{component.name}.{kind}"
            problem = Problem(code, message, component.name, key, hint=hint)
            raise Forbidden(message, code=code, hint=hint, problems=[problem])


def _component_request(component: RpmComponent, overrides: Mapping[str, str]) -> ComponentRequest:
    _check_custom_source(component)
    options = settings.MBS
    repository = component.repository or f"{options.RPMS_DEFAULT_REPOSITORY}{component.name}"
    return ComponentRequest(component.name, repository, overrides.get(component.name) or component.ref or "")


def _included(key: str, component: ModuleComponent, options: ScmOptions, patience: Patience) -> StreamV2:
    """Return the document of an included module."""
    allowed = settings.MBS.MODULES_ALLOW_REPOSITORY
    if component.repository and not allowed:
        raise Forbidden(
            f"The included module {key} sets repository, which this service does not allow.",
            code="custom_repository",
            hint="Remove repository from the module.",
        )
    repository = component.repository or f"{settings.MBS.MODULES_DEFAULT_REPOSITORY}{component.name}"
    source = patience.fetch(f"{repository}?#{component.ref or options.default_branch}", "", options)
    try:
        document = parse_stream(source.text, strict=True, name=source.name, stream=component.ref or "")
        check_names([document])
    except ModulemdError as error:
        raise in_included(key, source.text, error) from error
    return document
