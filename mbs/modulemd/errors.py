"""The one error that reading modulemd raises, and the list it is made from."""

from __future__ import annotations

from collections.abc import Sequence

from mbs.errors import Problem, Unprocessable

#: More are counted, not kept: nobody reads them, and a hostile file could make millions.
MAX_PROBLEMS = 50


class ModulemdError(Unprocessable):
    """A modulemd file is invalid; ``problems`` says where and why, one by one."""

    code = "modulemd_invalid"

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> ModulemdError:
        """The error for these problems. A single problem gives the error its own code."""
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
    """Collects what is wrong with one document."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, code: str, message: str, *, key: str = "", line: int | None = None, hint: str = "") -> None:
        """Record one problem.

        Args:
            key: Dotted path of the key, such as ``data.components.rpms.bash.buildorder``.
            line: Counted from 1 in the whole file.
        """
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(code, message, key=key, line=line, hint=hint))

    def __bool__(self) -> bool:
        return bool(self.found)
