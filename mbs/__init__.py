"""The field's knowledge: modules, their names, documents, states and expansion. Pure but for ``mbs.client``."""
