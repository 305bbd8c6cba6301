#!/usr/bin/env python3
"""Operators' commands; installed as ``mbs-manager``."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

#: Options before the command, as the reference service has them -> Django's verbosity.
VERBOSITY = {"-q": 0, "--quiet": 0, "-v": 2, "--verbose": 2, "-d": 3, "--debug": 3}


def arguments(argv: Sequence[str]) -> list[str]:
    """The command line as Django reads it: options of all commands stand behind the command's name."""
    program, *words = argv
    chosen = []
    while words and words[0] in VERBOSITY:
        chosen = ["--verbosity", str(VERBOSITY[words.pop(0)])]
    return [program, *words[:1], *chosen, *words[1:]]


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if find_spec("django") is None:
        sys.exit("Only the client is installed. Install the service: pip install 'mbs[server]'")
    from django.core.management import execute_from_command_line

    from mbs.errors import ConfigurationError

    try:
        import config.celery  # noqa: F401  (tasks are sent through it)

        execute_from_command_line(arguments(sys.argv))
    except ConfigurationError as error:
        sys.exit("\n".join(filter(None, (error.message, error.hint))))


if __name__ == "__main__":
    main()
