"""Create the build system that the option ``SYSTEM`` names."""

from __future__ import annotations

import os

from buildsys.base import BuildSystem, Send
from buildsys.local.sandbox import Limits
from buildsys.local.system import LocalBuildSystem
from buildsys.options import SystemOptions
from buildsys.simulated import SimulatedBuildSystem
from mbs.errors import ConfigurationError
from scm.options import ScmOptions


def create(name: str, options: SystemOptions, send: Send) -> BuildSystem:
    """Return the build system of this name.

    Args:
        send: Puts a submission on the queue of this service's builders.

    Raises:
        ConfigurationError: There is no build system of this name.
    """
    match name:
        case "local":
            limits = build_limits(options)
            return LocalBuildSystem(
                options.DATA_DIR / "local",
                send=send,
                base_url=str(options.BASE_URL) if options.LOCAL_RESULTS == "web" else "",
                jobs=limits.jobs,
                scm=ScmOptions.from_options(options),
                limits=limits,
                lenient=options.LOCAL_BUILD_PROTECTION != "full",
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
        f"SYSTEM is {name!r}, which is not a build system.", hint="Use one of: koji, local, simulated."
    )


def build_limits(options: SystemOptions) -> Limits:
    """Return the resource limits of one build on this machine."""
    first = options.LOCAL_BUILD_FIRST_USER
    return Limits(
        seconds=options.LOCAL_BUILD_TIMEOUT,
        log_bytes=options.LOCAL_BUILD_LOG_BYTES,
        file_bytes=options.LOCAL_BUILD_FILE_BYTES,
        memory_bytes=options.LOCAL_BUILD_MEMORY,
        processes=options.LOCAL_BUILD_PROCESSES,
        open_files=options.LOCAL_BUILD_OPEN_FILES,
        disk_bytes=options.LOCAL_BUILD_DISK,
        files=options.LOCAL_BUILD_FILES,
        free_bytes=options.LOCAL_BUILD_FREE_DISK,
        free_files=options.LOCAL_BUILD_FREE_FILES,
        jobs=options.LOCAL_BUILD_JOBS or os.cpu_count() or 1,
        users=range(first, first + options.LOCAL_BUILD_USERS),
        shows=options.LOCAL_BUILD_SHOWS,
    )


def _koji(options: SystemOptions) -> BuildSystem:
    try:
        # Only production installations have the Koji client.
        from buildsys.koji.configured import koji_build_system
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"SYSTEM is 'koji', but {error.name} is not installed.",
            hint="Install the packages of requirements/prod.txt.",
        ) from error
    return koji_build_system(options)
