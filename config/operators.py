"""The commands of ``mbs-manager``: those of the service, and the Django commands that operators need."""

from __future__ import annotations

import sys
from collections.abc import Sequence

#: Django's commands that operators need: name -> what it does.
DJANGO = {
    "migrate": "Make or update the tables of the database.",
    "createsuperuser": "Make a user who may log in to the admin.",
    "changepassword": "Change the password of a user of the admin.",
}
#: Application of the service's own commands.
_APPLICATION = "builds"
_HELP = ("help", "--help", "-h")
#: SQLSTATE 42P01 (undefined_table) of PostgreSQL; SQLite has a text only.
_UNDEFINED_TABLE, _NO_SUCH_TABLE = "42P01", "no such table"


def run(argv: Sequence[str]) -> None:
    """Run the command that a command line names.

    Args:
        argv: the command line as Django reads it.

    Raises:
        SystemExit: with the exit code, when the command fails.
    """
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    from mbs.errors import ConfigurationError

    try:
        import config.celery  # noqa: F401  (tasks are sent through it)

        if argv[1:] in ([], *([word] for word in _HELP)):
            print(overview())
        elif argv[1:] in (["help", "--all"], ["--help", "--all"]):
            execute_from_command_line([argv[0], "help"])
        else:
            execute_from_command_line(list(argv))
    except ConfigurationError as error:
        sys.exit("\n".join(filter(None, (error.message, error.hint))))
    except (OperationalError, ProgrammingError) as error:
        if not is_missing_table(error):
            raise
        sys.exit(missing_tables())


def is_missing_table(error: BaseException) -> bool:
    """Return whether an error of the database says that a table is not there."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) == _UNDEFINED_TABLE or _NO_SUCH_TABLE in str(error)


def missing_tables() -> str:
    """Return a message that names the command which creates the missing tables."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    where = f" on {database['HOST']}" if database.get("HOST") else ""
    return (
        f"The database {database['NAME']}{where} lacks tables of this service.\n"
        "Make or update them with `mbs-manager migrate`. If another database is meant, "
        "`mbs-manager config DATABASE_URL` says where this one is set."
    )


def overview() -> str:
    """Return the names of the commands for operators, and what each does."""
    import django
    from django.core.management import get_commands, load_command_class

    django.setup()
    own = {
        name: load_command_class(_APPLICATION, name).help
        for name, application in get_commands().items()
        if application == _APPLICATION
    }
    found = sorted((own | DJANGO).items())
    width = max(len(name) for name, _ in found)
    lines = [f"  {name:<{width}}  {text.partition('. ')[0].rstrip('.')}." for name, text in found]
    return "\n".join(
        [
            "Usage: mbs-manager COMMAND [OPTIONS]",
            "",
            *lines,
            "",
            "`mbs-manager COMMAND --help` tells a command's options, `mbs-manager help --all` lists Django's",
            "commands too.",
        ]
    )
