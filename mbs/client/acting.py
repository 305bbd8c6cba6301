"""Commands that act on one or several builds: ``mbs cancel``, ``retry``, ``rebuild`` and ``retire``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from mbs.client.arguments import BUILD_ID, build_ids
from mbs.client.builds import AS_JSON, INTERVAL, show_submitted
from mbs.client.options import EXIT_CODES, SUCCESS, exit_code, finish, print_json, report, with_client
from mbs.client.plan import show_plan
from mbs.client.rest import Client, Json, Refused
from mbs.client.snapshot import read_build

BUILD_IDS = build_ids("ID...")
WATCH = click.option("--watch", "watching", is_flag=True, help="Follow the builds to their end.")


@click.command(epilog=EXIT_CODES)
@BUILD_IDS
@AS_JSON
@with_client
def cancel(client: Client, build_ids: Sequence[int], as_json: bool) -> None:
    """Cancel module builds that are not finished."""
    _act(build_ids, client.cancel, as_json)


@click.command(epilog=EXIT_CODES)
@BUILD_IDS
@WATCH
@INTERVAL
@AS_JSON
@with_client
def retry(client: Client, build_ids: Sequence[int], watching: bool, interval: float, as_json: bool) -> None:
    """Resume failed builds. Components that are built are not built again."""
    if not watching:
        _act(build_ids, client.retry, as_json)
        return
    answers, code = _each(build_ids, client.retry)
    if code != SUCCESS:
        finish(code)
    show_submitted(client, answers, watching, interval, as_json)


@click.command(epilog=EXIT_CODES)
@BUILD_ID
@click.option(
    "--rebuild-strategy",
    default="",
    help="Which components to build: all, changed-and-after or only-changed. "
    "[default: all, unless the server is configured otherwise]",
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
    """Build the commit of a build again as a new version, without a new commit in git.

    All components are built. Streams and branches are looked up again.
    """
    body = {"rebuild_strategy": rebuild_strategy} if rebuild_strategy else {}
    if planning:
        show_plan(client.plan_rebuild(build_id, body), as_json=as_json)
    else:
        show_submitted(client, client.rebuild(build_id, body), watching, interval, as_json)


@click.command(epilog=EXIT_CODES)
@BUILD_IDS
@AS_JSON
@with_client
def retire(client: Client, build_ids: Sequence[int], as_json: bool) -> None:
    """Retire ready or failed builds: new builds no longer use them.

    Only admins of the service can retire builds. It cannot be undone.
    """
    _act(build_ids, client.retire, as_json)


def _act(build_ids: Sequence[int], act: Callable[[int], Json], as_json: bool) -> None:
    """Carry out an action on each build, print the results, and exit with the worst exit code.

    With ``--json``, the output is an object for one build, and a list for several.
    """
    answers, code = _each(build_ids, act)
    if not as_json:
        for build in map(read_build, answers):
            reason = f": {build.reason}" if build.reason else ""
            click.echo(f"{build.id} {build.nsvc} {build.word}{reason}")
    elif len(build_ids) > 1:
        print_json(answers)
    elif answers:
        print_json(answers[0])
    finish(code)


def _each(build_ids: Sequence[int], act: Callable[[int], Json]) -> tuple[list[Json], int]:
    """Return the answers for the builds that the server accepted, and the worst exit code.

    A refusal is printed, and the following builds are still processed.
    """
    answers, code = [], SUCCESS
    for build_id in dict.fromkeys(build_ids):
        try:
            answers.append(act(build_id))
        except Refused as error:
            report(error)
            code = max(code, exit_code(error))
    return answers, code
