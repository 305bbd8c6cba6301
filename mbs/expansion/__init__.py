"""Stream expansion: from a document with open dependency lists to the builds that it stands for.

``expand`` is pure: a ``Universe`` answers what there is to build against. Around it: ``settings``;
``inputs``: overrides and static contexts; ``gathering``: open lists, and candidates level by level;
``rules``: what satisfies what; ``solver``: libsolv; ``searching``: combinations; ``explaining``: why not;
``report``: what comes out.
"""

from mbs.expansion.expanding import expand
from mbs.expansion.memory import MemoryUniverse, available
from mbs.expansion.report import ExpandedBuild, Expansion, Rejected, Step
from mbs.expansion.settings import Request, Settings
from mbs.expansion.universe import Available, NameStream, Universe

__all__ = [
    "Available",
    "ExpandedBuild",
    "Expansion",
    "MemoryUniverse",
    "NameStream",
    "Rejected",
    "Request",
    "Settings",
    "Step",
    "Universe",
    "available",
    "expand",
]
