"""Builds real RPMs with rpmbuild on the machines of the service itself, shut in by kernel namespaces."""
