"""Classes for the Module Build Service's messages on the bus."""

from mbs_messages.component import ComponentStateChangeV1
from mbs_messages.module import ModuleStateChangeV1

__all__ = ["ComponentStateChangeV1", "ModuleStateChangeV1"]
