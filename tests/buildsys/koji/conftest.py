"""Fixtures of Koji's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.buildsys.koji.double import HubDouble
from tests.buildsys.rigs import KojiRig, koji_system


@pytest.fixture
def double() -> Iterator[HubDouble]:
    """A hub double on which nothing takes time."""
    double = HubDouble().start()
    yield double
    double.stop()


@pytest.fixture
def rig(double: HubDouble, tmp_path: Path) -> KojiRig:
    """The build system on that hub, logged in."""
    system = koji_system(double, tmp_path)
    assert system.hub.user["name"] == "mbs"
    rig = KojiRig(system, ("x86_64", "aarch64"), double=double)
    double.log.clear()
    return rig
