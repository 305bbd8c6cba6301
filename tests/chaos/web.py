"""Start the web server as ``mbs-manager web`` does, with the application of ``tests.chaos.web_app``."""

from __future__ import annotations

import sys

import django
from django.core.management import call_command

from builds.management.commands import web

if __name__ == "__main__":
    django.setup()
    web.APPLICATION = "tests.chaos.web_app:application"
    call_command("web", *sys.argv[1:])
