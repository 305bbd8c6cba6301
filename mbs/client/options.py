"""What the commands that talk to a server have in common."""

from __future__ import annotations

import functools
import getpass
import json
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import click

from mbs.client.address import find_server
from mbs.client.rest import Client, Refused
from mbs.errors import Conflict, InvalidInput, MBSError, TooLarge, Unprocessable
from mbs.text import printable

SUCCESS, BUILD_FAILED, REFUSED, TROUBLE = range(4)
INTERRUPTED = 130
EXIT_CODES = """\b
Exit codes:
  0  done; where builds are watched: all of them are ready (a scratch build: done)
  1  a build failed
  2  wrong usage, or the server refused
  3  the server cannot be reached, or something else went wrong
  130  interrupted by Ctrl-C; builds go on
"""

Command = Callable[..., Any]


def with_client(command: Command) -> Command:
    """Add the options that say where the server is and who asks; pass a ``Client`` as first argument."""

    @click.option("--server", envvar="MBS_SERVER", metavar="URL", help="The server. [env: MBS_SERVER]")
    @click.option("--token", envvar="MBS_TOKEN", default="", help="Bearer token. [env: MBS_TOKEN]")
    @click.option(
        "--owner",
        envvar="MBS_OWNER",
        help="In whose name, where the server has no logins. [env: MBS_OWNER; your own service: you]",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, server: str | None, token: str, owner: str | None, **kwargs: Any) -> Any:
        address, own = find_server(server)
        if owner is None and own and not token:
            owner = getpass.getuser()
        with Client(address, token=token, owner=owner or "") as client:
            return command(client, *args, **kwargs)

    return wrapped


class Group(click.Group):
    """A group that tells errors to people and gives each kind its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MBSError as error:
            report(error)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except OSError as error:  # a file or folder; its own text names it
            report(MBSError(f"{error}."))
            ctx.exit(TROUBLE)
        except Exception:  # noqa: BLE001 - Python's own exit code for a fault says "a build failed" here
            traceback.print_exc()
            ctx.exit(TROUBLE)


#: Characters that stay in messages: ours have several lines.
KEPT = "\n\t"


def exit_code(error: MBSError) -> int:
    """2 for what another request may mend, 3 for what only time or an operator can."""
    if isinstance(error, Refused):
        return TROUBLE if error.transient else REFUSED
    return REFUSED if isinstance(error, InvalidInput | Unprocessable | Conflict | TooLarge) else TROUBLE


#: Keys of a submission -> the options that set them.
_OPTIONS = {
    "module_name": "--module-name",
    "module_stream": "--module-stream",
    "buildrequire_overrides": "--buildrequire-override",
    "require_overrides": "--require-override",
    "rpm_component_ref_overrides": "--ref-override",
    "rebuild_strategy": "--rebuild-strategy",
    "reuse_components_from": "--reuse-components-from",
    "side_tag": "--side-tag",
    "srpms": "--srpm",
}
_KEY = re.compile(rf"(?<![\w.'\"-])({'|'.join(_OPTIONS)})(?![\w'\"-])")


def _told(text: str) -> str:
    """A text of the server for a terminal, which names options where it names keys of a request."""
    return printable(_KEY.sub(lambda match: _OPTIONS[match[1]], text), KEPT)


def report(error: MBSError) -> None:
    """Write an error to stderr: the message, each single problem, and what to do."""
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {_told(error.message)}", err=True)
    for problem in error.problems:
        about = ": ".join(part for part in (problem.component or problem.key, problem.message) if part)
        line = f" (line {problem.line})" if problem.line else ""
        click.echo(f"  - {_told(about)}{line}", err=True)
        for label, text in (("tried", problem.tried), ("do", problem.hint)):
            if text:
                click.echo(f"    {label}: {_told(text)}", err=True)
    if error.hint:
        click.echo(f"  {_told(error.hint)}", err=True)


def print_json(value: object) -> None:
    """Write JSON to stdout, for programs."""
    click.echo(json.dumps(value, indent=2))


def finish(code: int) -> NoReturn:
    """End the command with an exit code of ``EXIT_CODES``."""
    sys.stdout.flush()
    click.get_current_context().exit(code)
