"""Actions of users on builds: the permission, the states in which they are possible, and the service to call.

The API and the pages use the same actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builds.api.permissions import acting_for, require_admin, require_login, require_owner, require_submitter
from builds.models import ModuleBuild
from builds.observability import log_context
from builds.services import cancellation, health, rebuild, retirement
from builds.services.auth import Identity, Scope
from mbs.states import ACTIVE, BuildState

#: Arguments: the user, the build, the owner, and other values of the request. Returns the builds.
Act = Callable[[Identity, ModuleBuild, str, Mapping[str, Any]], Sequence[ModuleBuild]]


@dataclass(frozen=True)
class Action:
    """An action of a user on a module build.

    Attributes:
        name: Name in addresses.
        verb: Text of its button.
        consequence: A sentence for the confirmation page that says what the action does.
        states: States of builds in which it is possible.
        require: Checks whether the user may do it at all, before anything is read.
        act: Checks whether the user may do it to this build, and does it.
    """

    name: str
    verb: str
    consequence: str
    states: frozenset[BuildState]
    require: Callable[[Identity | None], Identity]
    act: Act

    def possible(self, build: ModuleBuild) -> bool:
        """Return whether the state of a build allows the action."""
        return build.state in self.states

    def carry_out(
        self, user: Identity | None, build: ModuleBuild, values: Mapping[str, Any]
    ) -> Sequence[ModuleBuild]:
        """Do the action, and return the changed builds, or the new ones.

        Args:
            user: User of the request.
            build: The build as it was read.
            values: Values of the request. ``owner`` names the owner, on a service without logins.

        Raises:
            MBSError: The user may not do it, the state does not allow it, or a needed service is unavailable.
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
    "The build fails, and its running components are stopped. It can be retried later.",
    frozenset(ACTIVE),
    lambda user: require_login(user, Scope.CANCEL),
    _cancel,
)
RETRY = Action(
    "retry",
    "Retry",
    "The build continues where it failed. Components that are built are kept.",
    frozenset({BuildState.FAILED}),
    lambda user: require_login(user, Scope.SUBMIT),
    _retry,
)
REBUILD = Action(
    "rebuild",
    "Rebuild",
    "The same commit is built again as a new version. The existing build does not change.",
    frozenset(BuildState),
    require_submitter,
    _rebuild,
)
RETIRE = Action(
    "retire",
    "Retire",
    "The build becomes garbage, and new builds no longer use it. This cannot be undone.",
    frozenset({BuildState.READY, BuildState.FAILED}),
    require_admin,
    _retire,
)
ACTIONS: Mapping[str, Action] = {each.name: each for each in (CANCEL, RETRY, REBUILD, RETIRE)}


def possible(build: ModuleBuild) -> list[Action]:
    """Return the actions that the state of a build allows, independent of the user."""
    return [each for each in ACTIONS.values() if each.possible(build)]
