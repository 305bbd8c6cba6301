"""Fixtures of the tests of logins."""

from __future__ import annotations

import pytest

from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.factories import module_build


def build_of_ann() -> ModuleBuild:
    """Make another build of Ann's that can be canceled."""
    return module_build(owner="ann", state=BuildState.BUILD)


@pytest.fixture
def build(db: None) -> ModuleBuild:
    """A build of Ann's that can be canceled."""
    return build_of_ann()
