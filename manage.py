#!/usr/bin/env python3
"""Operators' commands; installed as ``mbs-manager``."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from mbs.errors import ConfigurationError

    try:
        import config.celery  # noqa: F401  (tasks are sent through it)

        execute_from_command_line(sys.argv)
    except ConfigurationError as error:
        sys.exit("\n".join(filter(None, (error.message, error.hint))))


if __name__ == "__main__":
    main()
