"""Actions of people on builds: who may do each, on which builds, and which service carries it out.

The API and the pages use the same actions, so that each rule has one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builds.api.permissions import acting_for, require_admin, require_login, require_owner, require_submitter
from builds.models import ModuleBuild
from builds.observability import log_context
from builds.services import cancellation, health, rebuild, retirement
from builds.services.identity import Identity, Scope
from mbs.states import ACTIVE, BuildState

#: What an action says and does: the user, the build, in whose name, and other values of the request.
Act = Callable[[Identity, ModuleBuild, str, Mapping[str, Any]], Sequence[ModuleBuild]]


@dataclass(frozen=True)
class Action:
    """Something that people do to module builds.

    Attributes:
        name: Of the action, in addresses.
        verb: On its button.
        consequence: One sentence about what it does, for the page that asks for confirmation.
        states: In which a build can be for it.
        require: Checks that a user may do it at all, before anything is read.
        act: Checks that the user may do it to this build, and does it.
    """

    name: str
    verb: str
    consequence: str
    states: frozenset[BuildState]
    require: Callable[[Identity | None], Identity]
    act: Act

    def possible(self, build: ModuleBuild) -> bool:
        """Return whether the state of a build allows it."""
        return build.state in self.states

    def carry_out(
        self, user: Identity | None, build: ModuleBuild, values: Mapping[str, Any]
    ) -> Sequence[ModuleBuild]:
        """Do it, and return the builds that it was done to, or the new ones.

        Args:
            user: Who asks.
            build: As it was read.
            values: Of the request; ``owner`` says in whose name it is made, where that counts.

        Raises:
            MBSError: The user may not, the state does not allow it, or something is away.
        """
        identity = self.require(user)
        log_context.bind(**log_context.of_build(build))
        return self.act(identity, build, acting_for(identity, values), values)


def _cancel(user: Identity, build: ModuleBuild, who: str, values: Mapping[str, Any]) -> Sequence[ModuleBuild]:
    require_owner(user, who, build)
    cancellation.cancel_once(build, who)
    return [build]


def _retry(user: Identity, build: ModuleBuild, who: str, values: Mapping[str, Any]) -> Sequence[ModuleBuild]:
    require_owner(user, who, build)
    health.require_broker()
    cancellation.resume(build, who)
    # Another request may have resumed it since it was read.
    build.refresh_from_db()
    return [build]


def _rebuild(
    user: Identity, build: ModuleBuild, who: str, values: Mapping[str, Any]
) -> Sequence[ModuleBuild]:
    health.require_broker()
    return rebuild.rebuild(build, who, rebuild_strategy=values.get("rebuild_strategy", ""))


def _retire(user: Identity, build: ModuleBuild, who: str, values: Mapping[str, Any]) -> Sequence[ModuleBuild]:
    retirement.retire(build, who)
    build.refresh_from_db()
    return [build]


CANCEL = Action(
    "cancel",
    "Cancel",
    "It fails, and its components that are being built are stopped. It can be retried later.",
    frozenset(ACTIVE),
    lambda user: require_login(user, Scope.CANCEL),
    _cancel,
)
RETRY = Action(
    "retry",
    "Retry",
    "It goes on where it failed. Components that are built stay built.",
    frozenset({BuildState.FAILED}),
    lambda user: require_login(user, Scope.SUBMIT),
    _retry,
)
REBUILD = Action(
    "rebuild",
    "Rebuild",
    "The same commit is built again as a new version. The build itself stays as it is.",
    frozenset(BuildState),
    require_submitter,
    _rebuild,
)
RETIRE = Action(
    "retire",
    "Retire",
    "It becomes garbage: nothing new is built against it. This cannot be undone.",
    frozenset({BuildState.READY, BuildState.FAILED}),
    require_admin,
    _retire,
)
ACTIONS: Mapping[str, Action] = {each.name: each for each in (CANCEL, RETRY, REBUILD, RETIRE)}


def possible(build: ModuleBuild) -> list[Action]:
    """Return the actions that the state of a build allows, whoever asks."""
    return [each for each in ACTIONS.values() if each.possible(build)]
