#!/usr/bin/env python3
"""Operators' commands; installed as ``mbs-manager``."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    import config.celery  # noqa: F401  (tasks are sent through it)

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
