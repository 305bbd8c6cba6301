"""Fixtures of the tests of logins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.builds.services.auth.login_steps import Clock, switched_on
from tests.builds.services.auth.oidc_provider import Issuer
from tests.factories import module_build


def build_of_ann() -> ModuleBuild:
    """Make another build of Ann's that can be canceled."""
    return module_build(owner="ann", state=BuildState.BUILD)


@pytest.fixture
def build(db: None) -> ModuleBuild:
    """A build of Ann's that can be canceled."""
    return build_of_ann()


@pytest.fixture(params=["signed", "opaque"])
def login_provider(
    request: pytest.FixtureRequest, option: Callable[..., None], issuer: Issuer, tmp_path: Path
) -> Issuer:
    """The provider of a service on whose pages people log in, with each kind of access tokens."""
    return switched_on(request.param, option, issuer, tmp_path)


@pytest.fixture
def signing(option: Callable[..., None], issuer: Issuer, tmp_path: Path) -> Issuer:
    """The same with signed access tokens."""
    return switched_on("signed", option, issuer, tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the test can move."""
    return Clock(monkeypatch)
