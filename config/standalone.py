"""Operators' commands beside a running standalone service use its configuration and its database."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from pathlib import Path

from config.selection import DEFAULT_FILE, select
from mbs.client.address import data_dir, default_data_dir, running
from mbs.client.up.services import environment

#: Variables that name a configuration or a database: who sets one means that one.
_CHOSEN = (
    "MBS_CONFIG_FILE",
    "MBS_CONFIG_SECTION",
    "MBS_DATABASE_URL",
    "MODULE_BUILD_SERVICE_DEVELOPER_ENV",
)


def join_running_service(
    environ: MutableMapping[str, str], argv: Sequence[str], *, default_file: str = DEFAULT_FILE
) -> str:
    """Set the environment of the standalone service that this user runs, unless another one was chosen.

    Args:
        environ: the environment, which is changed.
        argv: the command line.
        default_file: the configuration of a production service; where it exists, it counts.

    Returns:
        A note for people; empty when nothing was changed.
    """
    if any(name in environ for name in _CHOSEN):
        return ""
    if select(environ, argv, default_file).section != "dev" or Path(default_file).exists():
        return ""
    folders = [data_dir(None)] if "MBS_DATA_DIR" in environ else [data_dir(None), default_data_dir()]
    for folder in dict.fromkeys(folders):
        service = running(folder)
        if service:
            environ.update(environment(Path(service.data), service.base_url))
            return f"Using the service at {service.base_url} (data folder {service.data})."
    return ""
