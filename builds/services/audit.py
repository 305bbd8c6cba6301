"""Record who did what, for the audit list of the admin."""

from __future__ import annotations

from builds.models import AuditEntry, ModuleBuild, clock
from builds.observability import log_context, origin

SUBMITTED, CANCELED, RETRIED, REBUILT, RETIRED, IMPORTED = (
    "submitted",
    "canceled",
    "retried",
    "rebuilt",
    "retired",
    "imported",
)
TOKEN_CREATED, TOKEN_REVOKED = "token created", "token revoked"
ADDED, CHANGED, DELETED = "added", "changed", "deleted"
ACTIONS = (
    *(SUBMITTED, CANCELED, RETRIED, REBUILT, RETIRED, IMPORTED),
    *(TOKEN_CREATED, TOKEN_REVOKED, ADDED, CHANGED, DELETED),
)
#: Max lengths of the columns.
_LENGTHS = {"who": 255, "action": 32, "subject": 255, "detail": 500}


def record(
    action: str, who: str, build: ModuleBuild | None = None, *, subject: str = "", detail: str = ""
) -> None:
    """Record an action.

    Args:
        action: The action in the past tense, one of the constants of this module or an action of the admin.
        who: Name of the user.
        build: The module build that it concerns.
        subject: Name of the thing that it concerns; by default the N:S:V:C of the build.
        detail: Text for people about the change.
    """
    texts = {
        "who": who,
        "action": action,
        "subject": subject or (str(build.nsvc) if build else ""),
        "detail": detail,
    }
    AuditEntry.objects.create(
        time=clock.now(),
        via=origin.current(),
        module_build=build,
        request_id=str(log_context.current().get("request_id", ""))[:64],
        **{name: text[: _LENGTHS[name]] for name, text in texts.items()},
    )
