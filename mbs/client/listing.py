"""The command ``mbs list``."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import click
from rich.table import Table

from mbs.client.builds import AS_JSON, print_table
from mbs.client.completing import complete_modules
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.client.snapshot import Build, Outlook, duration, read_build, read_outlooks, read_time, short_time
from mbs.errors import InvalidInput
from mbs.states import ACTIVE, BUILD_STATES, BuildState

_UNITS = {"s": "seconds", "min": "minutes", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(rf"(\d{{1,6}})({'|'.join(_UNITS)})")
_ANONYMOUS = "anonymous"


class Since(click.ParamType[datetime]):
    """A time: an age such as ``2d`` or ``90min``, or a date in UTC, optionally with a time."""

    name = "age or time"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time in UTC."""
        if isinstance(value, datetime):
            return value
        age = _AGE.fullmatch(value)
        try:
            if age:
                return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
            time = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither an age (30min, 6h, 2d, 1w) nor a time (2026-01-31T12:00).", param, ctx
            )
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


@click.command("list", epilog=EXIT_CODES)
@click.argument(
    "pattern", metavar="[NAME[:STREAM[:VERSION]]]", required=False, shell_complete=complete_modules
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(sorted(BUILD_STATES)),
    help="Only builds in this state. Repeatable.",
)
@click.option("--active", is_flag=True, help="Only active builds.")
@click.option("--mine", is_flag=True, help="Only your builds.")
@click.option("--by", "owner_of", metavar="OWNER", help="Only builds of this owner.")
@click.option(
    "--since",
    type=Since(),
    metavar="AGE|TIME",
    help="Only builds submitted since: 30min, 2d, 2026-01-31.",
)
@click.option("--name", help="Only builds of this module.", shell_complete=complete_modules)
@click.option("--stream", help="Only builds of this stream.")
@click.option("--nsvc", metavar="N[:S[:V[:C]]]", help="Only builds with this N:S:V:C or its beginning.")
@click.option("--component", metavar="PACKAGE", help="Only builds with this component.")
@click.option("--commit", help="Only builds of this commit; its first 7 digits are enough.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Max builds to list."
)
@AS_JSON
@with_client
def list_builds(
    client: Client,
    pattern: str | None,
    states: Sequence[str],
    active: bool,
    mine: bool,
    owner_of: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
    **texts: str | None,
) -> None:
    """List module builds, the newest first.

    A pattern can contain * and ?, but not as its first character: 'perl-*:5.3?'.
    """
    params: dict[str, str | Sequence[str]] = {key: value for key, value in texts.items() if value}
    if mine and owner_of:
        raise click.UsageError("--mine and --by exclude each other.")
    if owner := myself(client) if mine else owner_of:
        params["owner"] = owner
    if pattern:
        params["match"] = pattern
    if wanted := [*states, *(BuildState(state).word for state in sorted(ACTIVE) if active)]:
        params["state"] = list(dict.fromkeys(wanted))
    if since:
        params["submitted_after"] = f"{since:%Y-%m-%dT%H:%M:%SZ}"
    found = list(client.builds(params, limit=limit))
    if as_json:
        print_json(found)
    else:
        unfinished = [int(each["id"]) for each in found if each.get("state") in ACTIVE]
        outlooks = read_outlooks(client.queue(unfinished)) if unfinished else {}
        print_table(table(found, outlooks, datetime.now(UTC)))


def table(found: Sequence[Json], outlooks: Mapping[int, Outlook], now: datetime) -> Table:
    """Return the rows of a list of builds: progress, age, prediction, and why a build failed or waits."""
    shown = Table(box=None, pad_edge=False)
    for title in ("ID", "module", "state", "owner", "done", "age", "took", "ready"):
        shown.add_column(title, no_wrap=True, justify="right" if title in ("done", "age", "took") else "left")
    # On a terminal, this column uses the remaining width.
    shown.add_column("reason", no_wrap=True, overflow="ellipsis", ratio=1 if sys.stdout.isatty() else None)
    for data in found:
        build = read_build(data)
        outlook = outlooks.get(build.id)
        age = duration((now - build.submitted).total_seconds()) if build.submitted else ""
        shown.add_row(
            *(str(build.id), str(build.nsvc), build.word, build.owner),
            *(_progress(build), age, duration(build.seconds(_end(build, data, now)))),
            *(short_time(outlook.ready, now) if outlook else "", _reason(build)),
        )
    return shown


def _progress(build: Build) -> str:
    """Return the number of complete components and of all; empty if the server does not send them."""
    return f"{build.complete}/{build.total}" if build.total else ""


def _end(build: Build, data: Json, now: datetime) -> datetime:
    """Return when an ended build changed last; canceled builds may have no time of completion."""
    changed = read_time(data.get("time_modified")) if build.ended else None
    return changed or now


def _reason(build: Build) -> str:
    if build.state == BuildState.FAILED:
        return build.reason
    return build.waiting_for if build.state in ACTIVE else ""


def myself(client: Client) -> str:
    """Return the name of the user.

    Raises:
        InvalidInput: The server has no logins, and ``--owner`` is not given.
    """
    name = client.owner or str(client.me().get("username") or "")
    if name in ("", _ANONYMOUS):
        raise InvalidInput(
            "The server has no logins, so it does not know who you are.",
            code="no_logins",
            hint="Use --owner or MBS_OWNER.",
        )
    return name
