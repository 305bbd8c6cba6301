"""Stream expansion: make one build for each combination of streams that a document allows.

``expand`` is pure; a ``Universe`` tells it which module builds exist. The other modules: ``settings``
(configuration and request), ``inputs`` (overrides, static contexts), ``gathering`` (candidates, level by
level), ``rules`` (what satisfies a requirement), ``solver`` (libsolv), ``searching`` (combinations),
``explaining`` (reasons of failures), ``report`` (results).
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
