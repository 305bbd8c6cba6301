"""The commands ``mbs retry`` and ``mbs rebuild``."""

from __future__ import annotations

import click

from mbs.client.builds import AS_JSON, INTERVAL, follow_to_end
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.plan import show_plan
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
@click.option(
    "--rebuild-strategy",
    default="",
    help="Which components are built anew: all, changed-and-after or only-changed. "
    "[default: all, unless the server says otherwise]",
)
@click.option("--plan", "planning", is_flag=True, help="Show what would be built, and why; build nothing.")
@WATCH
@INTERVAL
@AS_JSON
@with_client
def rebuild(
    client: Client,
    build_id: int,
    rebuild_strategy: str,
    planning: bool,
    watching: bool,
    interval: float,
    as_json: bool,
) -> None:
    """Build the commit of a build again, as a new version, with no new commit in git.

    Every component is built, and streams and branches are looked up anew.
    """
    body = {"rebuild_strategy": rebuild_strategy} if rebuild_strategy else {}
    if planning:
        show_plan(client.plan_rebuild(build_id, body), as_json=as_json)
    else:
        _show(client, client.rebuild(build_id, body), watching, interval, as_json)


def _show(client: Client, answer: list[Json], watching: bool, interval: float, as_json: bool) -> None:
    if not as_json:
        for build in map(read_build, answer):
            click.echo(f"{build.id} {build.nsvc} {build.word}")
    if watching:
        follow_to_end(client, [int(build["id"]) for build in answer], interval, as_json)
    elif as_json:
        print_json(answer)
