"""``mbs-manager web``: run the web server."""

from __future__ import annotations

import resource
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand

#: Each process of the server imports this application.
APPLICATION = "config.asgi:application"


class Command(BaseCommand):
    """Run uvicorn with the settings of this service."""

    help = "Serve the REST API, the pages and the admin over HTTP."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        where = parser.add_argument
        where("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        where("--port", type=int, default=8000, help="port to listen on (8000)")
        where("--uds", metavar="PATH", help="Unix socket to listen on, instead of host and port")
        where("--fd", type=int, help="file descriptor of a socket to listen on, instead of host and port")
        where("--workers", type=int, default=1, help="number of processes (1)")
        where("--grace", type=int, default=10, help="seconds to finish requests on shutdown (10)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until stopped."""
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
            proxy_headers=False,  # builds.api.serving.fronts reads them
            access_log=False,
            server_header=False,
            log_config=None,
        )


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard limit, for this process and its children."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
