#!/usr/bin/env python3
"""Operators' commands; installed as ``mbs-manager``."""

import os
import sys
from collections.abc import Sequence

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
    """Run one command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config.operators import run
    from config.standalone import join_running_service

    if note := join_running_service(os.environ, sys.argv):
        print(note, file=sys.stderr)
    run(arguments(sys.argv))


if __name__ == "__main__":
    main()
