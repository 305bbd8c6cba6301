"""Messages of the Module Build Service on the bus."""

from mbs_messages.component import ComponentStateChangeV1
from mbs_messages.module import ModuleStateChangeV1

__all__ = ["ComponentStateChangeV1", "ModuleStateChangeV1"]
