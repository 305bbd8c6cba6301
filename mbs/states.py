"""States of module and component builds, and the transitions between them.

Numbers and names are part of the REST API: docs/contract/rest.md, "Representations".
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType

from mbs.errors import InvalidInput, MBSError


class BuildState(IntEnum):
    """State of a module build.

    ======= ======================================================
    init    recorded; architectures and reuse are being determined
    wait    the build system's tags or folders are being made
    build   components are built, batch by batch
    done    all components are built and the result is recorded
    failed  ended without a result; ``state_reason`` says why
    ready   may be shipped and used by other modules
    garbage retired, or failed long ago
    ======= ======================================================
    """

    INIT = 0
    WAIT = 1
    BUILD = 2
    DONE = 3
    FAILED = 4
    READY = 5
    GARBAGE = 6

    @property
    def word(self) -> str:
        """The name as the REST API writes it."""
        return self.name.lower()

    @property
    def waits_for(self) -> str:
        """The event that ends this state; empty if the build has ended. ``build`` also has phases."""
        return _WAITS_FOR.get(self, "")


class ComponentState(IntEnum):
    """State of a component build, numbered like Koji's build states; None before it starts."""

    BUILDING = 0
    COMPLETE = 1
    DELETED = 2
    FAILED = 3
    CANCELED = 4


BUILD_STATES = MappingProxyType({state.word: int(state) for state in BuildState})
COMPONENT_STATES = MappingProxyType({state.name: int(state) for state in ComponentState})

#: States of builds that are under way.
ACTIVE = frozenset({BuildState.INIT, BuildState.WAIT, BuildState.BUILD})
#: States of components that do not change by themselves.
SETTLED = frozenset(ComponentState) - {ComponentState.BUILDING}

_WAITS_FOR = {
    BuildState.INIT: "choice of architectures and of components to reuse",
    BuildState.WAIT: "creation of tags and repository in the build system",
    BuildState.BUILD: "builds of the components, batch by batch",
}

_S = BuildState
TRANSITIONS: MappingProxyType[BuildState, frozenset[BuildState]] = MappingProxyType(
    {
        _S.INIT: frozenset({_S.WAIT, _S.FAILED}),
        _S.WAIT: frozenset({_S.BUILD, _S.FAILED}),
        _S.BUILD: frozenset({_S.DONE, _S.FAILED}),
        _S.DONE: frozenset({_S.READY}),
        _S.FAILED: frozenset({_S.INIT, _S.WAIT, _S.GARBAGE}),
        _S.READY: frozenset({_S.GARBAGE}),
        _S.GARBAGE: frozenset(),
    }
)


class IllegalTransition(MBSError):
    """The state machine has no such transition."""

    code = "illegal_transition"


def check_transition(old: BuildState, new: BuildState) -> bool:
    """Return whether ``old`` -> ``new`` is a change; a repeated state is not.

    Raises:
        IllegalTransition: The state machine has no such transition.
    """
    if old == new:
        return False
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(f"A module build cannot go from {old.word} to {new.word}.")
    return True


def parse_build_state(text: str) -> BuildState:
    """Parse a state that a user wrote as a number or a name.

    Raises:
        InvalidInput: There is no such state.
    """
    if text in BUILD_STATES:
        return BuildState(BUILD_STATES[text])
    if text.isascii() and text.isdigit() and len(text) < 4 and int(text) in BUILD_STATES.values():
        return BuildState(int(text))
    raise InvalidInput(
        f"There is no state {text[:40]!r}.",
        code="unknown_state",
        hint="States are " + ", ".join(f"{number} {word}" for word, number in BUILD_STATES.items()) + ".",
    )
