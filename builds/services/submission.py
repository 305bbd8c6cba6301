"""From a request to module builds: fetch, validate, expand, verify, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from builds.models import ModuleBuild


@dataclass(frozen=True)
class SubmissionRequest:
    """What a user asks for; the form of it is checked, the meaning is not (contract: rest, Submitting).

    :param modulemd: text of a document that is submitted instead of an scm url.
    """

    owner: str
    scmurl: str = ""
    branch: str = ""
    modulemd: str = ""
    module_name: str = ""
    module_stream: str = ""
    buildrequire_overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    require_overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rpm_component_ref_overrides: Mapping[str, str] = field(default_factory=dict)
    rebuild_strategy: str = ""
    reuse_components_from: str = ""
    scratch: bool = False
    side_tag: str = ""
    srpms: Sequence[str] = ()


def submit(request: SubmissionRequest) -> list[ModuleBuild]:
    """Record the builds that a request asks for and start them.

    :return: all builds of the expansion: new ones, resumed ones, and those that exist already.
    :raises MBSError: nothing was recorded then.
    """
    raise NotImplementedError
