"""The knowledge of the field: names, documents, states, expansion. Pure, but for ``mbs.client``."""

__version__ = "0.1.0"
