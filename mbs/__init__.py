"""The rules for modules, without I/O: names, documents, states, expansion. The client is ``mbs.client``."""

__version__ = "0.2.0"
