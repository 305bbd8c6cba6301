"""Options, exit codes and error output of the commands that use a server."""

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

from mbs.client import logins, servers
from mbs.client.credentials import StoredLogin
from mbs.client.rest import Client, Refused
from mbs.errors import Conflict, InvalidInput, MBSError, TooLarge, Unprocessable
from mbs.text import printable

SUCCESS, BUILD_FAILED, REFUSED, TROUBLE = range(4)
INTERRUPTED = 130
EXIT_CODES = """\b
Exit codes:
  0  success; with --watch: all builds are ready (scratch builds: done)
  1  a build failed
  2  wrong usage, or the server refused the request
  3  the server cannot be reached, or another error
  130  interrupted by Ctrl-C; the builds continue
"""

Command = Callable[..., Any]


#: The option of a command that names the server.
SERVER = click.option(
    "--server",
    envvar="MBS_SERVER",
    metavar="NAME|URL",
    help="Name or URL of the server. [env: MBS_SERVER]",
)
_FROM_GROUP = "mbs.client.server"


def choose_server(context: click.Context, server: str | None) -> None:
    """Remember the server that is named before the name of the command."""
    context.meta[_FROM_GROUP] = server


def chosen_server(server: str | None) -> servers.Server:
    """Return the server of the current command.

    Args:
        server: The option ``--server`` of the command, or ``MBS_SERVER``.
    """
    context = click.get_current_context()
    if context.get_parameter_source("server") is not click.core.ParameterSource.COMMANDLINE:
        server = context.meta.get(_FROM_GROUP) or server
    return servers.find(server)


def named_server() -> str | None:
    """Return the server that is named before the name of the command; None if there is none."""
    found: str | None = click.get_current_context().meta.get(_FROM_GROUP)
    return found


def with_client(command: Command) -> Command:
    """Add the options for server and credentials, and pass a ``Client`` as first argument."""

    @SERVER
    @click.option(
        "--token",
        envvar="MBS_TOKEN",
        default="",
        help="Bearer token, instead of that of `mbs login`. [env: MBS_TOKEN]",
    )
    @click.option(
        "--owner",
        envvar="MBS_OWNER",
        help="Owner of the builds, on a server without logins. [env: MBS_OWNER; your own service: you]",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, server: str | None, token: str, owner: str | None, **kwargs: Any) -> Any:
        at = chosen_server(server)
        stored = not token and at.auth is not servers.Auth.NONE and bool(logins.kept(at.url))
        if owner is None and at.own and not token and not stored:
            owner = getpass.getuser()
        auth = StoredLogin(at.url) if stored else None
        with Client(at.url, token=token, owner=owner or "", auth=auth) as client:
            return command(client, *args, **kwargs)

    return wrapped


class Group(click.Group):
    """A command group that prints errors and exits with the code for each kind of error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except MBSError as error:
            report(error)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except OSError as error:  # its text names the file or folder
            report(MBSError(f"{error}."))
            ctx.exit(TROUBLE)
        except Exception:  # noqa: BLE001 - Python would exit with 1, which means "a build failed"
            traceback.print_exc()
            ctx.exit(TROUBLE)


#: Control characters that are kept in messages, which can have several lines.
KEPT = "\n\t"


def exit_code(error: MBSError) -> int:
    """Return 2 if a corrected request can succeed, otherwise 3."""
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


def _for_terminal(text: str) -> str:
    """Return a message of the server for the terminal: with option names instead of request keys."""
    return printable(_KEY.sub(lambda match: _OPTIONS[match[1]], text), KEPT)


def report(error: MBSError) -> None:
    """Print an error to stderr: the message, all problems, and hints."""
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {_for_terminal(error.message)}", err=True)
    for problem in error.problems:
        about = ": ".join(part for part in (problem.component or problem.key, problem.message) if part)
        line = f" (line {problem.line})" if problem.line else ""
        click.echo(f"  - {_for_terminal(about)}{line}", err=True)
        for label, text in (("tried", problem.tried), ("do", problem.hint)):
            if text:
                click.echo(f"    {label}: {_for_terminal(text)}", err=True)
    if error.hint:
        click.echo(f"  {_for_terminal(error.hint)}", err=True)


def print_json(value: object) -> None:
    """Print JSON to stdout."""
    click.echo(json.dumps(value, indent=2))


def finish(code: int) -> NoReturn:
    """Exit the command with a code from ``EXIT_CODES``."""
    sys.stdout.flush()
    click.get_current_context().exit(code)
