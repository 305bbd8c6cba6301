"""A hub double: speaks Koji's protocol over HTTP to the real client, and keeps its books as a hub does.

It does what a real hub was seen to do (docs/contract/koji.md); ``tests/integration`` runs against both.
Builders are simulated: a build takes a configured time.
"""

from __future__ import annotations

from tests.buildsys.koji.double.faults import Faults
from tests.buildsys.koji.double.server import HubDouble

__all__ = ["Faults", "HubDouble"]
