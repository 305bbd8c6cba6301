"""States of module and component builds, and the transitions between them.

Numbers and names: docs/contract/rest.md, "Representations". ``BUILD_STATES`` and ``COMPONENT_STATES`` are for
programs that talk to the service.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType

from mbs.errors import InvalidInput, MBSError


class BuildState(IntEnum):
    """Of a module build.

    ======= ======================================================
    init    recorded, to be made ready for the build system
    wait    the build system's tags or folders are being made
    build   components build, batch by batch
    done    all components are built and the result is recorded
    failed  gave up; ``state_reason`` says why
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
        return self.name.lower()


class ComponentState(IntEnum):
    """Of a component build, as Koji numbers its builds. A component that has not started has none."""

    BUILDING = 0
    COMPLETE = 1
    DELETED = 2
    FAILED = 3
    CANCELED = 4


BUILD_STATES = MappingProxyType({state.word: int(state) for state in BuildState})
COMPONENT_STATES = MappingProxyType({state.name: int(state) for state in ComponentState})

#: A build in one of these is on its way: something must be about to happen to it.
ACTIVE = frozenset({BuildState.INIT, BuildState.WAIT, BuildState.BUILD})
#: A component in one of these will not change any more by itself.
SETTLED = frozenset(ComponentState) - {ComponentState.BUILDING}

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
    """A change of state that the state machine does not know."""

    code = "illegal_transition"


def check_transition(old: BuildState, new: BuildState) -> bool:
    """Whether ``old`` -> ``new`` changes anything; a repeated state does not.

    Raises:
        IllegalTransition: When the state machine has no such transition.
    """
    if old == new:
        return False
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(f"A module build cannot go from {old.word} to {new.word}.")
    return True


def parse_build_state(text: str) -> BuildState:
    """The state that a user wrote as a number or a name.

    Raises:
        InvalidInput: When there is no such state.
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
