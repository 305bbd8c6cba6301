"""The built-in sections: differences from the defaults of the schema, written as in a ``config.py``.

Configuration files can inherit from them: ``from config.sections import DevConfiguration``.
"""

from __future__ import annotations

import os
from pathlib import Path

#: Section -> the names of its class, in a file or here.
SECTIONS = {
    "dev": ("DevConfiguration",),
    "test": ("TestConfiguration",),
    "prod": ("ProdConfiguration",),
    "standalone": ("StandaloneConfiguration", "LocalBuildConfiguration"),
}
_OTHER_NAMES = {"local": "standalone"} | {
    cls: section for section, classes in SECTIONS.items() for cls in classes
}


def section_name(text: str) -> str:
    """Return the section that ``dev``, ``DevConfiguration`` or ``local`` names; other names are unchanged."""
    return _OTHER_NAMES.get(text, text)


def _own_folder() -> Path:
    """Return ``.data`` in a checkout, otherwise a folder by the XDG base directory specification."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / ".data"
    home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path("~/.local/share")) / "mbs"


class ProdConfiguration:
    """Production: the defaults of the schema."""


class StandaloneConfiguration:
    """All processes on this machine, for all users who can connect to its loopback interface."""

    SYSTEM = "local"
    LOCAL_BUILD_PROTECTION = "possible"
    MESSAGING = "log"
    LOG_FORMAT = "plain"
    NO_AUTH = True
    YAML_SUBMIT_ALLOWED = True
    MODULES_ALLOW_SCRATCH = True
    # Without logins, each user counts as a member of any group. Without a group, no user may import.
    ALLOWED_GROUPS_TO_IMPORT_MODULE = ["everybody"]
    ALLOW_CUSTOM_SCMURLS = True
    ALLOW_PRIVATE_SCM_HOSTS = True
    RPMS_ALLOW_REPOSITORY = True
    MODULES_ALLOW_REPOSITORY = True
    # Two processes do all work except builds.
    SCM_CHECKS_PER_OWNER = 1
    DATA_DIR = _own_folder()
    DATABASE_URL = "sqlite:///mbs.sqlite3"
    BASE_URL = "http://127.0.0.1:8000"
    ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]


class DevConfiguration(StandaloneConfiguration):
    """Standalone, with debug messages in the log."""

    LOG_LEVEL = "debug"


class TestConfiguration(StandaloneConfiguration):
    """Test runs: nothing is built, and waits are short."""

    __test__ = False  # pytest must not collect it

    SYSTEM = "simulated"
    MESSAGING = "memory"
    SECRET_KEY = "for-tests-only-and-as-long-as-a-secret-key-has-to-be-here"  # noqa: S105  (tests only)
    DATA_DIR = StandaloneConfiguration.DATA_DIR / "test"
    BROKER_URL = "memory://"
    BASE_URL = "http://testserver"
    ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
    NO_AUTH = True
    YAML_SUBMIT_ALLOWED = True
    ALLOWED_GROUPS_TO_IMPORT_MODULE = []
    ALLOW_CUSTOM_SCMURLS = False
    ALLOW_PRIVATE_SCM_HOSTS = False
    RPMS_ALLOW_REPOSITORY = False
    MODULES_ALLOW_REPOSITORY = False
    SIMULATED_BUILD_SECONDS = 0
    SIMULATED_REPO_SECONDS = 0
    SWEEP_INTERVAL = 1
    POLLING_INTERVAL = 1
    OUTBOX_INTERVAL = 1
    OUTBOX_LEASE = 1
    # On a slow machine, a test must not fail by a time limit.
    DATABASE_TIMEOUT = 60
    NET_TIMEOUT = 20
    SCM_SUBMIT_TIMEOUT = 60
    LOST_AFTER = 1
    WAKE_AGAIN_AFTER = 1
    SUBMIT_LEASE = 1
    RETRY_BACKOFF_MAX = 1
    NET_RETRY_INTERVAL = 0.1
    SCM_NET_TIMEOUT = 10


class LocalBuildConfiguration(StandaloneConfiguration):
    """Standalone, by its name in MBS 3.9.2."""
