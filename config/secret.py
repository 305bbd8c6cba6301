"""A secret key for the sections that need no configuration: made once, then kept in the data folder."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from mbs.errors import ConfigurationError

NAME = "secret-key"


def kept_key(folder: Path) -> str:
    """The key in ``folder``, made when there is none; processes that start at once agree on it.

    Raises:
        ConfigurationError: When the folder cannot be made, read or written.
    """
    path = folder.expanduser() / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        if key := path.read_text(encoding="utf-8").strip():
            return key
        raise OSError(f"{path} is empty")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"The data folder cannot keep a secret key: {error}.",
            hint="Set MBS_DATA_DIR to a folder that this user may write, or set MBS_SECRET_KEY.",
        ) from error


def _make(path: Path) -> None:
    """A link appears whole or not at all, and never replaces the key of another process."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{NAME}-") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        try:
            os.link(file.name, path)
        except FileExistsError:
            return
