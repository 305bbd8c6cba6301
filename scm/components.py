"""Are a module's components there, and do they look like something that can be built?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scm.options import ScmOptions
from scm.specs import Spec


@dataclass(frozen=True)
class ComponentRequest:
    """A component as the module names it.

    :param repository: url of its dist-git repository (the configured one plus its name, or its own).
    :param ref: branch, tag or commit; empty: the configured default branch.
    :param cache: address of its own lookaside cache, where the module names one and may.
    """

    package: str
    repository: str
    ref: str = ""
    cache: str = ""


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
    raise NotImplementedError
