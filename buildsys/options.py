"""The options that build systems are made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from scm.options import Configured


class SystemOptions(Configured, Protocol):
    """The options that build systems are made from; ``config.schema`` describes each."""

    DATA_DIR: Path
    BASE_URL: str
    LOCAL_BUILD_JOBS: int
    LOCAL_BUILD_PROTECTION: Literal["full", "possible"]
    LOCAL_BUILD_FIRST_USER: int
    LOCAL_BUILD_USERS: int
    LOCAL_BUILD_SHOWS: tuple[str, ...]
    LOCAL_BUILD_TIMEOUT: int
    LOCAL_BUILD_LOG_BYTES: int
    LOCAL_BUILD_MEMORY: int
    LOCAL_BUILD_PROCESSES: int
    LOCAL_BUILD_OPEN_FILES: int
    LOCAL_BUILD_FILE_BYTES: int
    LOCAL_BUILD_DISK: int
    LOCAL_BUILD_FILES: int
    LOCAL_BUILD_FREE_DISK: int
    LOCAL_BUILD_FREE_FILES: int
    LOCAL_RESULTS: Literal["web", "files"]
    SIMULATED_BUILD_SECONDS: float
    SIMULATED_REPO_SECONDS: float
    NET_TIMEOUT: float
    NET_RETRY_INTERVAL: float
    BASE_MODULE_NAMES: tuple[str, ...]
    DEFAULT_DIST_TAG_PREFIX: str
    ALLOW_ARCH_OVERRIDE: bool
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
