"""The error for invalid modulemd, and the collection of its problems."""

from __future__ import annotations

from collections.abc import Sequence

from mbs.errors import Problem, Unprocessable

#: Max problems that are kept; a hostile file could cause millions.
MAX_PROBLEMS = 50


class ModulemdError(Unprocessable):
    """A modulemd file is invalid; ``problems`` lists where and why."""

    code = "modulemd_invalid"

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> ModulemdError:
        """Return the error for these problems, with the code of the problem if there is only one."""
        first, others = problems[0], len(problems) - 1
        where = f"line {first.line}: " if first.line else ""
        more = f" (and {others} more)" if others else ""
        return cls(
            f"The modulemd is invalid: {where}{first.message}{more}",
            code=first.code if not others else "",
            hint=first.hint,
            problems=problems,
        )


class Problems:
    """Collects the problems of one document."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, code: str, message: str, *, key: str = "", line: int | None = None, hint: str = "") -> None:
        """Record a problem.

        Args:
            key: Dotted path of the key, such as ``data.components.rpms.bash.buildorder``.
            line: Line in the whole file, from 1.
        """
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(code, message, key=key, line=line, hint=hint))

    def __bool__(self) -> bool:
        return bool(self.found)
