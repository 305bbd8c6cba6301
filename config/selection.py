"""Which section of which file is meant, from the environment and the command line."""

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
    """A section, and the file it is in; ``path`` is None for the built-in one."""

    section: str
    path: str | None


def select(environ: Mapping[str, str], argv: Sequence[str], default_file: str = DEFAULT_FILE) -> Selection:
    """Choose the section as the reference does, which operators' scripts rely on.

    ============================================ ==================== ===========
    what is the case                             file                 section
    ============================================ ==================== ===========
    a test run                                   none                 test
    ``MODULE_BUILD_SERVICE_DEVELOPER_ENV`` true  none                 dev
    ``MBS_CONFIG_FILE`` names a file             that one             prod
    it is not set, and ``default_file`` exists   ``default_file``     prod
    no file, under mod_wsgi                      none                 prod
    no file                                      none                 dev
    ============================================ ==================== ===========

    ``MBS_CONFIG_SECTION`` replaces the section in all of them; an empty ``MBS_CONFIG_FILE`` means: no file.
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
    """Only the command itself counts: ``mbs-manager config --file pytest.py`` is none.

    Nor is one that a test starts, though it inherits the environment: it must be able to be anything.
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
    """mod_wsgi names itself in ``sys.argv``, and only its embedded module knows a process group."""
    return list(argv[:1]) == ["mod_wsgi"] or hasattr(sys.modules.get("mod_wsgi"), "process_group")
