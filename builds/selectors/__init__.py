"""Database queries."""

from builds.selectors.buildroots import GROUPS, build_groups, packages

__all__ = ["GROUPS", "build_groups", "packages"]
