"""Build systems by the name that the setting ``SYSTEM`` gives them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from buildsys.base import BuildSystem, Send
from buildsys.local.system import LocalBuildSystem
from buildsys.simulated import SimulatedBuildSystem
from mbs.errors import ConfigurationError
from scm.options import Configured, ScmOptions


class SystemOptions(Configured, Protocol):
    """The part of the configuration that build systems are made from: see ``config.schema``."""

    DATA_DIR: Path
    BASE_URL: str
    LOCAL_BUILD_JOBS: int
    SIMULATED_BUILD_SECONDS: float
    SIMULATED_REPO_SECONDS: float
    NET_TIMEOUT: float
    NET_RETRY_INTERVAL: float
    BASE_MODULE_NAMES: tuple[str, ...]
    DEFAULT_DIST_TAG_PREFIX: str
    KOJI_CONFIG: Path
    KOJI_PROFILE: str
    KOJI_USER: str
    KOJI_PASSWORD: str
    KRB_PRINCIPAL: str
    KRB_KEYTAB: str
    KRB_CCACHE: str
    KOJI_BUILD_PRIORITY: int
    KOJI_BUILD_MACROS_TARGET: str
    KOJI_REPOSITORY_URL: str
    KOJI_TAG_PREFIXES: tuple[str, ...]
    KOJI_TAG_PERMISSION: str
    KOJI_TAG_EXTRA_OPTS: Mapping[str, Any]
    KOJI_ENABLE_CONTENT_GENERATOR: bool
    KOJI_CG_TAG_BUILD: bool
    KOJI_CG_DEVEL_MODULE: bool
    KOJI_CG_BUILD_TAG_TEMPLATE: str
    KOJI_CG_DEFAULT_BUILD_TAG: str


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
                scm=ScmOptions.from_options(options),
            )
        case "simulated":
            return SimulatedBuildSystem(
                options.DATA_DIR / "simulated.sqlite3",
                send=send,
                build_seconds=options.SIMULATED_BUILD_SECONDS,
                repo_seconds=options.SIMULATED_REPO_SECONDS,
            )
        case "koji":
            return _koji(options)
    raise ConfigurationError(
        f"SYSTEM is {name!r}, which is no build system.", hint="Use one of: koji, local, simulated."
    )


def _koji(options: SystemOptions) -> BuildSystem:
    try:
        # The Koji client is part of a production installation only.
        from buildsys.koji.configured import koji_build_system
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"SYSTEM is 'koji', but {error.name} is not installed.",
            hint="Install the packages of requirements/prod.txt.",
        ) from error
    return koji_build_system(options)
