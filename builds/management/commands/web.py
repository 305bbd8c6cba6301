"""``mbs-manager web``: the web server."""

from __future__ import annotations

import resource
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand

#: What is served; each process of the server imports it.
APPLICATION = "config.asgi:application"


class Command(BaseCommand):
    help = "Serve the REST API, the pages and the admin over HTTP."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        where = parser.add_argument
        where("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        where("--port", type=int, default=8000, help="port to listen on (8000)")
        where("--uds", metavar="PATH", help="Unix socket to listen on, instead of host and port")
        where("--fd", type=int, help="number of an open socket to listen on, instead of host and port")
        where("--workers", type=int, default=1, help="processes (1)")
        where("--grace", type=int, default=10, help="seconds for requests under way when it is stopped (10)")

    def handle(self, *args: Any, **options: Any) -> None:
        allow_many_connections()
        uvicorn.run(
            APPLICATION,
            host=options["host"],
            port=options["port"],
            uds=options["uds"],
            fd=options["fd"],
            workers=options["workers"],
            timeout_graceful_shutdown=options["grace"],
            http="builds.api.serving.connection:Connection",
            loop="uvloop",
            ws="none",
            lifespan="off",
            forwarded_allow_ips=list(settings.MBS.TRUSTED_FRONTS),
            access_log=False,
            server_header=False,
            log_config=None,
        )


def allow_many_connections() -> None:
    """Raise the number of files that this process and its children may open as far as it may be raised."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
