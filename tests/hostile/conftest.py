"""Fixtures of the tests with hostile input."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builds.conftest import forge, sent  # noqa: F401  (fixtures)
from tests.hostile.services import Service, service, undelegate


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder that every user can access, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="mbs-hostile-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False)


@pytest.fixture(scope="module", params=["root", "subordinate", "bare"])
def everyone(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service of each kind."""
    with _folder() as folder:
        made = service(request.param, folder)
        yield made
        undelegate(made)


@pytest.fixture(scope="module", params=["root", "subordinate"])
def protected(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service of each kind that gives builds separate users, as production requires."""
    with _folder() as folder:
        made = service(request.param, folder)
        yield made
        undelegate(made)
