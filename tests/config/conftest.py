"""A loader of the configuration that only sees the files and variables of a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest

from config.loader import Loaded, load

#: A key of sufficient length that is not used anywhere.
KEY = "0123456789abcdef" * 4
COMPLETE = f"""\
SECRET_KEY = "{KEY}"
DATABASE_URL = "postgresql://mbs:hunter2@db.example.com/mbs"
BASE_URL = "https://mbs.example.com"
"""

Load = Callable[..., Loaded]


@pytest.fixture
def load_with(tmp_path: Path) -> Load:
    """Return ``load_with(prod=None, argv=["celery"], **variables)``; ``prod`` is the body of a section."""

    def load_with(prod: str | None = None, argv: tuple[str, ...] = ("celery",), **variables: str) -> Loaded:
        path = tmp_path / "config.py"
        if prod is not None:
            path.write_text(f"class ProdConfiguration:\n{indent(COMPLETE + prod, '    ')}\n")
        return load({"MBS_DATA_DIR": str(tmp_path), **variables}, argv, default_file=str(path))

    return load_with
