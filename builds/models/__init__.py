"""The tables of the service."""

from builds.models.audit import AuditEntry
from builds.models.commits import CommitRange
from builds.models.component import ComponentBuild, ComponentBuildTrace
from builds.models.document import FinalModulemd
from builds.models.load import LoadSample
from builds.models.log import LogMessage
from builds.models.module import (
    PHASE_TRANSITIONS,
    Arch,
    BuildRequirement,
    ModuleBuild,
    ModuleBuildTrace,
    Phase,
    VirtualStream,
)
from builds.models.outbox import OutboxMessage
from builds.models.saved_search import SavedSearch
from builds.models.submission import Submission
from builds.models.subscription import Delivery, Subscription
from builds.models.sweep import Lock, Sweep
from builds.models.token import ApiToken
from builds.models.wait import TaskCrash, Wait

__all__ = [
    "PHASE_TRANSITIONS",
    "ApiToken",
    "Arch",
    "AuditEntry",
    "BuildRequirement",
    "CommitRange",
    "ComponentBuild",
    "ComponentBuildTrace",
    "Delivery",
    "FinalModulemd",
    "LoadSample",
    "Lock",
    "LogMessage",
    "ModuleBuild",
    "ModuleBuildTrace",
    "OutboxMessage",
    "Phase",
    "SavedSearch",
    "Submission",
    "Subscription",
    "Sweep",
    "TaskCrash",
    "VirtualStream",
    "Wait",
]
