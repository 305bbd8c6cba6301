"""Fixtures of the source control tests."""

from __future__ import annotations

import pytest

from scm.options import ScmOptions


@pytest.fixture
def options() -> ScmOptions:
    """Options that allow local repositories."""
    return ScmOptions(allowed_prefixes=("file:///",), timeout=20, attempts=1, allow_private=True)
