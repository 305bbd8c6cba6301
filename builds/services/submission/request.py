"""Requests to submit a module, and their check (docs/contract/rest.md, "Submitting")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from django.conf import settings

from mbs import names
from mbs.errors import Forbidden, InvalidInput, NotSupported, Problem
from mbs.expansion.inputs import MAX_BUILDREQUIRES
from mbs.modulemd.naming import MAX_STREAMS
from mbs.names import Rule

#: Components whose refs one request may set.
MAX_REFS = 5000
MAX_SRPMS = 1000
#: Problems that one response lists.
_MAX_PROBLEMS = 20
_UPLOAD = Rule(
    "upload", re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+~^-]*"), 1024, "letters, digits and any of _./+~^-"
)


@dataclass(frozen=True)
class SubmissionRequest:
    """A submission whose values have the right types; ``check`` and later steps check the values themselves.

    Attributes:
        modulemd: Text of a document that is submitted instead of ``scmurl``.
        module_name: Replaces the document's name. ``module_stream`` replaces its stream.
        file_name: Name of the module if the document was uploaded as a file and nothing else names it.
        reuse_components_from: Number or N:S:V:C of a module build.
        new_version: Use the time of the request as the version, instead of the time of the commit.
    """

    owner: str
    scmurl: str = ""
    branch: str = ""
    modulemd: str = ""
    module_name: str = ""
    module_stream: str = ""
    file_name: str = ""
    buildrequire_overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    require_overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rpm_component_ref_overrides: Mapping[str, str] = field(default_factory=dict)
    rebuild_strategy: str = ""
    reuse_components_from: str = ""
    scratch: bool = False
    side_tag: str = ""
    srpms: Sequence[str] = ()
    new_version: bool = False

    @property
    def strategy(self) -> str:
        """Return the requested rebuild strategy, or the configured one."""
        return self.rebuild_strategy or _default_strategy(self)

    def repeatable(self) -> dict[str, Any]:
        """Return the JSON values that are stored to repeat the request, without owner and document."""
        one_time = {"owner", "modulemd", "file_name", "new_version"}
        return {key: value for key, value in asdict(self).items() if value and key not in one_time}


def check(request: SubmissionRequest) -> None:
    """Refuse requests that are contradictory or not allowed.

    Raises:
        InvalidInput: Keys are missing, invalid or exclude each other.
        Forbidden: The configuration does not allow the request.
        NotSupported: The build system does not support it.
    """
    _check_names(request)
    if request.modulemd:
        _check_yaml(request)
    else:
        _check_scm(request)
    _check_scratch(request)
    _check_rebuilding(request)
    if request.side_tag:
        raise NotSupported(
            "Builds in a side tag are not supported by this build system.",
            code="side_tag_not_supported",
            hint="Leave side_tag out.",
        )


def _check_names(request: SubmissionRequest) -> None:
    """Refuse invalid names and lists that are too long, with a problem for each."""
    problems = list(islice(_faults(request), _MAX_PROBLEMS))
    if problems:
        raise InvalidInput(
            " ".join(problem.message for problem in problems[:5]),
            code=problems[0].code,
            hint=problems[0].hint,
            problems=problems,
        )


def _faults(request: SubmissionRequest) -> Iterator[Problem]:
    for key, rule, code in (
        ("branch", names.REF, "branch_invalid"),
        ("module_name", names.NAME, "invalid_name"),
        ("module_stream", names.STREAM, "invalid_stream"),
        ("side_tag", names.KOJI_TAG, "invalid_side_tag"),
    ):
        if text := getattr(request, key):
            yield from _fault(key, rule, text, code)
    for key in ("buildrequire_overrides", "require_overrides"):
        overrides: Mapping[str, Sequence[str]] = getattr(request, key)
        yield from _too_many(key, overrides, MAX_BUILDREQUIRES, "modules")
        for name, streams in overrides.items():
            yield from _fault(key, names.NAME, name, "invalid_name")
            yield from _too_many(key, streams, MAX_STREAMS, "streams of one module")
            for stream in streams:
                yield from _fault(key, names.STREAM, stream.removeprefix("-"), "invalid_stream")
    key, refs = "rpm_component_ref_overrides", request.rpm_component_ref_overrides
    yield from _too_many(key, refs, MAX_REFS, "components")
    for name, ref in refs.items():
        yield from _fault(key, names.NAME, name, "invalid_name")
        yield from _fault(key, names.REF, ref, "ref_invalid")
    yield from _too_many("srpms", request.srpms, MAX_SRPMS, "uploads")
    for upload in request.srpms:
        yield from _fault("srpms", _UPLOAD, upload, "invalid_srpms")


def _fault(key: str, rule: Rule, text: str, code: str) -> Iterator[Problem]:
    if fault := rule.fault(text):
        yield Problem(code, f"{key}: {fault}", key=key, hint=rule.hint)


def _too_many(key: str, found: Sized, most: int, of: str) -> Iterator[Problem]:
    if len(found) > most:
        yield Problem(
            "too_many",
            f"The key {key!r} names {len(found)} {of}.",
            key=key,
            hint=f"At most {most} are allowed.",
        )


def _check_scm(request: SubmissionRequest) -> None:
    if not request.scmurl:
        raise InvalidInput(
            "A submission needs scmurl, or a modulemd document.",
            code="missing_scmurl",
            hint='Send {"scmurl": "https://.../name.git?#commit", "branch": "stream"}.',
        )
    if not request.branch:
        raise InvalidInput(
            "A submission with scmurl needs branch, the branch that contains the commit.",
            code="missing_branch",
            hint="Set branch. It is also the module's stream, unless the document names one.",
        )
    if request.module_name or request.module_stream:
        raise InvalidInput(
            "module_name and module_stream are allowed with a modulemd document only.",
            code="name_with_scmurl",
            hint="Leave them out: with scmurl the repository names the module, and the branch its stream.",
        )


def _check_yaml(request: SubmissionRequest) -> None:
    if request.scmurl:
        raise InvalidInput(
            "scmurl and a modulemd document exclude each other.",
            code="scmurl_with_yaml",
            hint="Send one of them.",
        )
    options = settings.MBS
    if not (options.YAML_SUBMIT_ALLOWED or (request.scratch and options.MODULES_ALLOW_SCRATCH)):
        raise Forbidden(
            "This service does not accept modulemd documents (YAML_SUBMIT_ALLOWED).",
            code="yaml_not_allowed",
            hint="Commit the document and submit its scmurl.",
        )


def _check_scratch(request: SubmissionRequest) -> None:
    options = settings.MBS
    if not request.scratch:
        if request.srpms:
            raise Forbidden(
                "srpms are allowed with scratch builds only.",
                code="srpms_without_scratch",
                hint="Set scratch, or leave srpms out.",
            )
        blocked = next((r for r in options.SCRATCH_BUILD_ONLY_BRANCHES if re.search(r, request.branch)), None)
        if request.branch and blocked:
            raise InvalidInput(
                f"Only scratch builds are allowed from the branch {request.branch!r}.",
                code="scratch_only_branch",
                hint="Set scratch, or submit another branch.",
            )
        return
    if not options.MODULES_ALLOW_SCRATCH:
        raise Forbidden(
            "This service does not accept scratch builds (MODULES_ALLOW_SCRATCH).",
            code="scratch_not_allowed",
            hint="Leave scratch out.",
        )
    if request.srpms:
        raise NotSupported(
            "Scratch builds from uploaded SRPMs are not supported by this build system.",
            code="srpms_not_supported",
            hint="Submit commits instead of srpms.",
        )


def _default_strategy(request: SubmissionRequest) -> str:
    """Return the strategy of a request that names none."""
    options = settings.MBS
    return str(options.REBUILD_STRATEGY_OF_REBUILDS if request.new_version else options.REBUILD_STRATEGY)


def _check_rebuilding(request: SubmissionRequest) -> None:
    options = settings.MBS
    permitted = {options.REBUILD_STRATEGY}
    if request.new_version:
        permitted.add(options.REBUILD_STRATEGY_OF_REBUILDS)
    if request.rebuild_strategy and request.rebuild_strategy not in permitted:
        if not options.REBUILD_STRATEGY_ALLOW_OVERRIDE:
            raise InvalidInput(
                "This service does not allow requests to choose the rebuild strategy.",
                code="strategy_not_overridable",
                hint=f"Leave rebuild_strategy out; it is {_default_strategy(request)}.",
            )
        if request.rebuild_strategy not in options.REBUILD_STRATEGIES_ALLOWED:
            raise InvalidInput(
                f"This service does not allow the rebuild strategy {request.rebuild_strategy[:40]!r}.",
                code="strategy_not_allowed",
                hint=f"Use one of: {', '.join(options.REBUILD_STRATEGIES_ALLOWED)}.",
            )
    if request.reuse_components_from and request.strategy == "all":
        raise InvalidInput(
            "reuse_components_from contradicts the rebuild strategy 'all', which reuses nothing.",
            code="reuse_with_all",
            hint="Leave one of them out.",
        )
