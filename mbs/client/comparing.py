"""The command ``mbs diff``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mbs.client import arguments
from mbs.client.builds import AS_JSON, print_table
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.text import printable_values

#: Characters of an abbreviated commit.
SHORT = 12
_STYLES = {"added": "green", "removed": "red", "commit": "yellow", "rebuilt": "cyan"}


@click.command(epilog=EXIT_CODES)
@arguments.build_ids("[OLD] NEW")
@click.option("--all", "everything", is_flag=True, help="Also show components without a difference.")
@AS_JSON
@with_client
def diff(client: Client, build_ids: Sequence[int], everything: bool, as_json: bool) -> None:
    """Show how two module builds differ: components, buildrequires, RPMs.

    With one ID, the build is compared with the last ready build of its stream.
    """
    if len(build_ids) > 2:
        raise click.UsageError("Two builds are compared: OLD and NEW.")
    *old, new = build_ids
    answer = client.compare(new, old[0] if old else None, everything=everything)
    if as_json:
        print_json(answer)
        return
    answer = printable_values(answer)
    for side, word in (("old", "from"), ("new", "to")):
        build = answer[side]
        click.echo(f"{word:4} {build['id']} {build['nsvc']} {build['state_name']}")
    click.echo()
    print_table(_components(answer["components"], everything))
    for text in _left_out(answer):
        click.echo(text)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000, markup=False)
    for line in (*_buildrequires(answer["buildrequires"]), *_rpms(answer)):
        console.print(line)


def _components(components: Sequence[Json], everything: bool) -> Table:
    table = Table("component", "change", "old", "new", "rebuilt because", "seconds", box=None, pad_edge=False)
    table.columns[5].justify = "right"
    for each in components:
        if not everything and each["change"] in ("same", "reused"):
            continue
        style = _STYLES.get(each["change"], "")
        table.add_row(
            str(each["package"]),
            Text(str(each["change"]), style),
            _commit(each["old"]),
            _commit(each["new"]),
            str(each["why"] or ""),
            " → ".join(filter(None, (_seconds(each["old"]), _seconds(each["new"])))),
        )
        for commit in each.get("commits") or ():
            table.add_row("", "", "", str(commit["commit"])[:SHORT], str(commit["subject"]), "")
    return table


def _left_out(answer: Json) -> Iterator[str]:
    """Yield lines about components and commits that the answer does not contain."""
    if answer.get("more_components"):
        yield f"{answer['more_components']} more components are not shown"
    if answer.get("unchanged"):
        yield f"{answer['unchanged']} components without a difference"
    if answer.get("reading_commits"):
        yield "The subjects of further commits are being read from git; repeat the command to see them."


def _commit(component: Mapping[str, object] | None) -> str:
    return str(component["ref"] or "")[:SHORT] if component else ""


def _seconds(component: Mapping[str, object] | None) -> str:
    seconds = component["seconds"] if component else None
    return f"{seconds:.0f}" if isinstance(seconds, int | float) else ""


def _buildrequires(found: Sequence[Json]) -> Iterator[str]:
    if found:
        yield "\nbuildrequires"
    for each in found:
        yield f"  {each['name']}: {each['old'] or 'none'} → {each['new'] or 'none'}"


def _rpms(answer: Json) -> Iterator[Text | str]:
    found, new = answer.get("rpms"), answer["new"]
    if not isinstance(found, dict):
        ended = new["state_name"] in ("done", "ready")
        which = "one of them are not recorded" if ended else f"build {new['id']} are known when it is ready"
        yield f"\nThe RPMs of {which}."
        return
    yield f"\nRPMs ({found['same']} are the same)"
    for sign, key, style in (("+", "added", "green"), ("-", "removed", "red")):
        for each in found[key]:
            yield Text(f"  {sign} {each['nevra']}{_size(each['size'])}", style)
    for each in found["changed"]:
        yield f"  ~ {each['name']}.{each['arch']} {each['old']} → {each['new']}{_growth(each)}"
        for kind in ("requires", "provides"):
            difference = each.get(kind) or {}
            yield from (Text(f"      + {kind} {text}", "green") for text in difference.get("added", ()))
            yield from (Text(f"      - {kind} {text}", "red") for text in difference.get("removed", ()))


def _size(size: object) -> str:
    return f" ({size:,} bytes)" if isinstance(size, int) else ""


def _growth(rpm: Json) -> str:
    old, new = rpm["old_size"], rpm["new_size"]
    if not isinstance(old, int) or not isinstance(new, int):
        return ""
    return f" ({new:,} bytes, {new - old:+,})"
