"""Commands of a user who logs in."""

from __future__ import annotations

from click.testing import CliRunner, Result

from mbs.client.cli import main
from mbs.states import BuildState
from tests.factories import module_build


def mbs(*arguments: str, input: str | None = "y\n") -> Result:
    """Run a command; by default, the user agrees to its question."""
    return CliRunner().invoke(main, arguments, input=input)


def cancel() -> Result:
    """Run a command that needs the login of ann."""
    return mbs("cancel", str(module_build(owner="ann", state=BuildState.BUILD).pk))
