"""The generated secret key of sections that need no configuration."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from mbs.errors import ConfigurationError

NAME = "secret-key"


def load_or_create_key(folder: Path) -> str:
    """Return the key in ``folder``, which is created if needed. Concurrent processes get the same key.

    Raises:
        ConfigurationError: The folder cannot be created, read or written.
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
            f"The secret key cannot be stored in the data folder: {error}.",
            hint="Set MBS_DATA_DIR to a folder that this user may write, or set MBS_SECRET_KEY.",
        ) from error


def _make(path: Path) -> None:
    """Create the key with a hard link, which is atomic and never replaces the key of another process."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{NAME}-") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        try:
            os.link(file.name, path)
        except FileExistsError:
            return
