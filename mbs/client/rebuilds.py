"""The commands ``mbs retry`` and ``mbs rebuild``."""

from __future__ import annotations

import click

from mbs.client.builds import AS_JSON, INTERVAL, follow_to_end
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.client.snapshot import read_build

BUILD_ID = click.argument("build_id", metavar="ID", type=click.IntRange(min=1))
WATCH = click.option("--watch", "watching", is_flag=True, help="Follow the builds until they end.")


@click.command(epilog=EXIT_CODES)
@BUILD_ID
@WATCH
@INTERVAL
@AS_JSON
@with_client
def retry(client: Client, build_id: int, watching: bool, interval: float, as_json: bool) -> None:
    """Resume a failed build. Components that are built stay built."""
    _show(client, [client.retry(build_id)], watching, interval, as_json)


@click.command(epilog=EXIT_CODES)
@BUILD_ID
@click.option("--rebuild-strategy", default="", help="Which components may be reused.")
@WATCH
@INTERVAL
@AS_JSON
@with_client
def rebuild(
    client: Client, build_id: int, rebuild_strategy: str, watching: bool, interval: float, as_json: bool
) -> None:
    """Build the commit of a build again, as a new version, without a new commit in git."""
    body = {"rebuild_strategy": rebuild_strategy} if rebuild_strategy else {}
    _show(client, client.rebuild(build_id, body), watching, interval, as_json)


def _show(client: Client, answer: list[Json], watching: bool, interval: float, as_json: bool) -> None:
    if not as_json:
        for build in map(read_build, answer):
            click.echo(f"{build.id} {build.nsvc} {build.state.word}")
    if watching:
        follow_to_end(client, [int(build["id"]) for build in answer], interval, as_json)
    elif as_json:
        print_json(answer)
