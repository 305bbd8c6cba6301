"""Builds real RPMs with rpmbuild on the machines of the service itself, shut in by kernel namespaces."""

from buildsys.local.system import LocalBuildSystem

__all__ = ["LocalBuildSystem"]
