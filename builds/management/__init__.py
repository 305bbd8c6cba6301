"""Management commands (``mbs-manager``)."""
