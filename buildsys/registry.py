"""Build systems by the name that the setting ``SYSTEM`` gives them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from buildsys.base import BuildSystem, Send
from buildsys.local.system import LocalBuildSystem
from buildsys.simulated import SimulatedBuildSystem
from mbs.errors import ConfigurationError


class SystemOptions(Protocol):
    """The part of the configuration that build systems are made from."""

    DATA_DIR: Path
    BASE_URL: str
    LOCAL_BUILD_JOBS: int
    SIMULATED_BUILD_SECONDS: float
    SIMULATED_REPO_SECONDS: float


def create(name: str, options: SystemOptions, send: Send) -> BuildSystem:
    """Make a build system.

    :param send: puts a submission on the queue of this service's own builders.
    :raises ConfigurationError: when there is none of that name.
    """
    match name:
        case "local":
            return LocalBuildSystem(
                options.DATA_DIR / "local",
                send=send,
                base_url=str(options.BASE_URL),
                jobs=options.LOCAL_BUILD_JOBS or os.cpu_count() or 1,
            )
        case "simulated":
            return SimulatedBuildSystem(
                options.DATA_DIR / "simulated.sqlite3",
                send=send,
                build_seconds=options.SIMULATED_BUILD_SECONDS,
                repo_seconds=options.SIMULATED_REPO_SECONDS,
            )
    raise ConfigurationError(
        f"SYSTEM is {name!r}, which is no build system.", hint="Use one of: local, simulated."
    )
