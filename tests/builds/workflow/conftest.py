"""Fixtures of the workflow's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builds.services.build_system import build_system
from tests.buildsys.koji.double import HubDouble


@pytest.fixture
def hub(tmp_path: Path, settings: Any) -> Iterator[HubDouble]:
    """A hub double on which nothing takes time, which the service is set up to use."""
    double = HubDouble().start()
    update = {
        "SYSTEM": "koji",
        "KOJI_CONFIG": double.write_profile(tmp_path / "koji.conf"),
        "KOJI_USER": "mbs",
        "KOJI_PASSWORD": "mbs",
        "KOJI_TAG_PERMISSION": "module-tags",
        "NET_TIMEOUT": 20,
        "NET_RETRY_INTERVAL": 0.01,
    }
    settings.MBS = settings.MBS.model_copy(update=update)
    build_system.cache_clear()
    yield double
    build_system.cache_clear()
    double.stop()
