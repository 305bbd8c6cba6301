"""Select the configuration file and section by the environment and the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.sections import section_name

DEFAULT_FILE = "/etc/module-build-service/config.py"
_TRUE = ("1", "on", "true", "y", "yes")


@dataclass(frozen=True)
class Selection:
    """A section and its file; ``path`` is None for a built-in section."""

    section: str
    path: str | None


def select(environ: Mapping[str, str], argv: Sequence[str], default_file: str = DEFAULT_FILE) -> Selection:
    """Return the section and file, chosen as by MBS 3.9.2.

    ============================================ ==================== ===========
    first case that applies                      file                 section
    ============================================ ==================== ===========
    a test run                                   none                 test
    ``MODULE_BUILD_SERVICE_DEVELOPER_ENV`` true  none                 dev
    ``MBS_CONFIG_FILE`` names a file             that file            prod
    it is not set, and ``default_file`` exists   ``default_file``     prod
    no file, under mod_wsgi                      none                 prod
    no file                                      none                 dev
    ============================================ ==================== ===========

    ``MBS_CONFIG_SECTION`` overrides the section in all cases. An empty ``MBS_CONFIG_FILE`` means no file.
    """
    path = environ.get("MBS_CONFIG_FILE")
    if path is None:
        path = default_file if Path(default_file).exists() else ""

    if _is_test_run(environ, argv):
        section, path = "test", ""
    elif environ.get("MODULE_BUILD_SERVICE_DEVELOPER_ENV", "").lower() in _TRUE:
        section, path = "dev", ""
    else:
        section = "prod" if path or _is_mod_wsgi(argv) else "dev"
    return Selection(section_name(environ.get("MBS_CONFIG_SECTION") or section), path or None)


def _is_test_run(environ: Mapping[str, str], argv: Sequence[str]) -> bool:
    """Return whether the command itself is a test run.

    Other arguments do not count (``mbs-manager config --file pytest.py``), and neither does the environment
    that a command inherits from a test.
    """
    if not argv:
        return False
    if argv[0] == "-c" and "PYTEST_XDIST_WORKER" in environ:
        return True
    command = Path(argv[0])
    if command.name == "__main__.py":  # python -m pytest
        command = command.parent
    if "pytest" in command.name or "py.test" in command.name:
        return True
    return command.name in ("manage.py", "mbs-manager") and list(argv[1:2]) == ["test"]


def _is_mod_wsgi(argv: Sequence[str]) -> bool:
    """Return whether the process runs under mod_wsgi, by ``sys.argv`` or by mod_wsgi's embedded module."""
    return list(argv[:1]) == ["mod_wsgi"] or hasattr(sys.modules.get("mod_wsgi"), "process_group")
