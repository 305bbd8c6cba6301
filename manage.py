#!/usr/bin/env python3
"""``mbs-manager``: the management commands of Django and of this service."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

#: Options of MBS 3.9.2, which precede the command -> Django's verbosity.
VERBOSITY = {"-q": 0, "--quiet": 0, "-v": 2, "--verbose": 2, "-d": 3, "--debug": 3}


def arguments(argv: Sequence[str]) -> list[str]:
    """Return the command line for Django, which needs general options after the name of the command."""
    program, *words = argv
    chosen = []
    while words and words[0] in VERBOSITY:
        chosen = ["--verbosity", str(VERBOSITY[words.pop(0)])]
    return [program, *words[:1], *chosen, *words[1:]]


def main() -> None:
    """Run the command on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if find_spec("django") is None:
        sys.exit("Only the client is installed. Install the service: pip install '.[server]' in its checkout")
    from config.operators import run
    from config.standalone import join_running_service

    if note := join_running_service(os.environ, sys.argv):
        print(note, file=sys.stderr)
    run(arguments(sys.argv))


if __name__ == "__main__":
    main()
