"""The command ``mbs completion``, and the values that shells complete: ids of builds, modules, packages.

A shell waits for the answer while the user types. So the server has one second, its answer is cached for a
few seconds, and errors complete nothing and print nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from mbs.client import servers
from mbs.client.options import EXIT_CODES
from mbs.client.rest import Client
from mbs.client.snapshot import Build, read_build
from mbs.states import BuildState

#: Seconds for the server's answer, and seconds for which it is cached.
PATIENCE, KEPT = 1.0, 5.0
#: Max builds and components that are offered.
_MOST = 100
#: Values that no shell interprets, and that the protocol between click and shells can carry.
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}")

_INSTALLATION = """\b
Installation:
  bash  mbs completion bash > ~/.local/share/bash-completion/completions/mbs
  zsh   mbs completion zsh > FOLDER/_mbs, where FOLDER is in $fpath
  fish  mbs completion fish > ~/.config/fish/completions/mbs.fish
"""
#: Command -> states of the builds that it is for.
_STATES: dict[str | None, Collection[BuildState]] = {
    "cancel": (BuildState.INIT, BuildState.WAIT, BuildState.BUILD, BuildState.DONE),
    "retry": (BuildState.FAILED,),
    "retire": (BuildState.READY, BuildState.FAILED),
}


@click.command(epilog=f"{_INSTALLATION}\n{EXIT_CODES}")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which a shell completes commands, options, ids of builds and names of modules.

    The server has a second to answer. If it does not, only commands and options are completed.
    """
    root = click.get_current_context().find_root()
    script = get_completion_class(shell)
    assert script is not None, "click supports these shells"
    click.echo(script(root.command, {}, "mbs", "_MBS_COMPLETE").source())


def complete_builds(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the ids of the newest builds to which the command applies."""
    wanted = _STATES.get(context.info_name)
    return [
        CompletionItem(str(build.id), help=f"{build.nsvc} {build.word}")
        for build in _builds(context)
        if str(build.id).startswith(incomplete) and (wanted is None or build.state in wanted)
    ]


def complete_modules(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the names of the modules that were built most recently."""
    names = dict.fromkeys(build.nsvc.name for build in _builds(context))
    return _items(names, incomplete)


def complete_packages(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the names of the components of the build that the command line names."""
    build_id = context.params.get("build_id")
    if not isinstance(build_id, int):
        return []
    found = _cached(context, f"components {build_id}", lambda client: client.components(build_id)[:_MOST])
    return _items([str(each.get("package")) for each in found], incomplete)


def _items(names: Collection[str], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(name) for name in names if name.startswith(incomplete) and _HARMLESS.fullmatch(name)
    ]


def _builds(context: click.Context) -> list[Build]:
    try:
        found = _cached(context, "builds", lambda client: list(client.builds({}, limit=_MOST)))
        return [read_build(each) for each in found]
    except Exception:  # noqa: BLE001 - the shell would show it in the middle of the command line
        return []


def _cached(context: click.Context, kind: str, read: Callable[[Client], list[Any]]) -> list[Any]:
    """Return an answer of the server, from the cache if it is new; an empty list after an error."""
    try:
        named = context.params.get("server")
        if context.get_parameter_source("server") is not click.core.ParameterSource.COMMANDLINE:
            named = context.find_root().params.get("server") or named
        address = servers.find(named or os.environ.get("MBS_SERVER")).url
        name = hashlib.sha256(f"{address} {kind}".encode()).hexdigest()
        file = _cache_dir() / f"{name}.json"
        if file.is_file() and 0 <= time.time() - file.stat().st_mtime < KEPT:
            kept = json.loads(file.read_text("utf-8"))
        else:
            kept = _within_patience(lambda: read(Client(address, timeout=PATIENCE)))
            # An error is kept too, so that the next key does not wait for the same server.
            _keep(file, kept)
        return [each for each in kept if isinstance(each, dict)]
    except Exception:  # noqa: BLE001 - the shell would show it in the middle of the command line
        return []


def _within_patience(read: Callable[[], list[Any]]) -> list[Any]:
    """Return the result of a function; an empty list if it fails or is too slow."""
    found: list[Any] = []

    def work() -> None:
        try:
            found.extend(read())
        except Exception:  # noqa: BLE001 - the shell would show it in the middle of the command line
            found.clear()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return [] if thread.is_alive() else found


def _keep(file: Path, answer: list[Any]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    old = [each for each in file.parent.glob("*.json") if time.time() - each.stat().st_mtime > KEPT]
    for each in old:
        each.unlink(missing_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(answer), "utf-8")
    temporary.replace(file)


def _cache_dir() -> Path:
    """Return ``$XDG_CACHE_HOME/mbs/completion``, or that below ``~/.cache``. Relative values are ignored."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "mbs" / "completion"
