"""The command ``mbs plan``, which previews a submission as a tree."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from mbs.client.builds import AS_JSON
from mbs.client.display import duration
from mbs.client.options import EXIT_CODES, exit_code, finish, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.client.submission import submission_options
from mbs.errors import MBSError
from mbs.text import printable_values

#: Action -> its description.
ACTIONS = {
    "build": "would be built",
    "resume": "failed before, would be resumed",
    "keep": "exists, would not be changed",
}
#: Characters of an abbreviated commit.
SHORT = 12


@click.command(epilog=EXIT_CODES)
@submission_options
@click.option("--trace", is_flag=True, help="Show every decision of the stream expansion.")
@AS_JSON
@with_client
def plan(client: Client, body: Json, trace: bool, as_json: bool) -> None:
    """Preview a submission: show the builds it would create, and why. Nothing is recorded or built.

    SOURCE is the address of a commit (https://host/path?#COMMIT), a modulemd file, or - for standard input.
    """
    try:
        answer = client.plan(body)
    except MBSError as error:
        if not as_json:
            raise
        print_json(
            {
                "code": error.code,
                "message": error.message,
                "hint": error.hint,
                "problems": [problem.as_dict() for problem in error.problems],
            }
        )
        finish(exit_code(error))
    show_plan(answer, trace=trace, as_json=as_json)


def show_plan(answer: Json, *, trace: bool = False, as_json: bool = False) -> None:
    """Print a plan as the server sent it: as JSON, or for people."""
    if as_json:
        print_json(answer)
        return
    # Outside a terminal, lines are not cut.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000, markup=False)
    for tree in trees(answer, trace=trace):
        console.print(tree)


def trees(answer: Mapping[str, Json], *, trace: bool = False) -> Iterator[Tree]:
    """Yield a tree for each build, one for rejected streams and, with ``trace``, one for all decisions."""
    answer = printable_values(answer)
    for build in _list(answer, "builds"):
        yield _build(build)
    if warnings := [f"{each['component']}: {each['message']}" for each in _list(answer, "warnings")]:
        yield _branch("Warnings", warnings)
    if rejected := _list(answer, "rejected"):
        yield _branch("Left out", list(dict.fromkeys(_rejected(each) for each in rejected)))
    if trace:
        yield _branch("Decisions", [f"{step['code']}: {step['message']}" for step in _list(answer, "trace")])


def _build(build: Json) -> Tree:
    number = f"  #{build['id']}" if build.get("id") else ""
    action = str(build["action"])
    tree = Tree(Text.assemble((str(build["nsvc"]), "bold"), number, "  ", ACTIONS.get(action, action)))
    against = build.get("buildrequires") or {}
    tree.add(_branch("built against", [f"{name}:{rest}" for name, rest in against.items()]))
    if action == "keep":
        tree.add(Text(f"its state is {build['state_name']}"))
        return tree
    if build.get("reused_module"):
        tree.add(Text(f"compared with {build['reused_module']['nsvc']}"))
    for batch in build["batches"]:
        branch = tree.add(Text(f"batch {batch['batch']}"))
        for component in batch["components"]:
            _component(branch, component)
    tree.add(_critical(build["critical_path"]))
    return tree


def _component(branch: Tree, component: Json) -> None:
    text = Text(component["package"])
    if component.get("ref"):
        text.append(f" {component['ref'][:SHORT]}", "dim")
    reuse = component.get("reuse") or {}
    if reuse.get("reused"):
        text.append(f"  reused: {reuse['nvr']}", "green")
    elif component.get("state_name") == "COMPLETE":
        text.append("  built already", "green")
    elif component.get("seconds"):
        text.append(f"  about {duration(component['seconds'])}")
    if component.get("build_after"):
        text.append(f"  after {', '.join(component['build_after'])}")
    node = branch.add(text)
    if reuse and not reuse["reused"]:
        node.add(Text(f"{reuse['code']}: {reuse['detail']}", "yellow"))


def _critical(path: Json) -> Text:
    if not path["packages"]:
        return Text("nothing is built", "green")
    text = f"critical path: {' -> '.join(path['packages'])}"
    if path["seconds"]:
        text += f", at least {duration(path['seconds'])}"
    if path["unknown"]:
        text += f" (never built before: {', '.join(path['unknown'])})"
    return Text(text)


def _rejected(each: Json) -> str:
    streams = ", ".join(f"{name}:{stream}" for name, stream in each.get("streams", {}).items())
    return f"{streams}: {each['message']}" if streams else str(each["message"])


def _branch(title: str, lines: Sequence[str]) -> Tree:
    tree = Tree(Text(title))
    for line in lines:
        tree.add(Text(line))
    return tree


def _list(answer: Mapping[str, object], key: str) -> list[Json]:
    found = answer.get(key)
    return found if isinstance(found, list) else []
