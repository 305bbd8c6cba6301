"""The environment of an installation of production."""

from __future__ import annotations

import os
from pathlib import Path

from tests.config.conftest import KEY


def production(tmp_path: Path, **options: str) -> dict[str, str]:
    """The environment of an installation of production."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MBS_", "DJANGO_"))},
        "MBS_CONFIG_FILE": "",
        "MBS_CONFIG_SECTION": "prod",
        "MBS_DATA_DIR": str(tmp_path),
        "MBS_SECRET_KEY": KEY,
        "MBS_DATABASE_URL": "sqlite:///mbs.sqlite3",
        "MBS_BASE_URL": "https://mbs.example.com",
        **options,
    }
