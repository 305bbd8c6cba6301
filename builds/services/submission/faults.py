"""Collect the faults of a submitted document, so that one answer names all independent ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from mbs.batches import Placed
from mbs.errors import Forbidden, InvalidInput, MBSError, Problem, Unprocessable
from mbs.modulemd import Locator, ModulemdError, RpmComponent, StreamV2
from mbs.modulemd.errors import MAX_PROBLEMS
from mbs.modulemd.nodes import printable

T = TypeVar("T")
#: Faults that one answer names.
MAX_FAULTS = 200


class Faults:
    """The faults that checks of a document find.

    Args:
        text: The document, in which the lines of keys are looked up.
        malformed: The error of the parts that could not be read. Faults of the same keys that are found later
            only follow from it, and are not added.
    """

    def __init__(self, text: str, malformed: ModulemdError | None = None) -> None:
        self._locator = Locator(text)
        self._errors: list[MBSError] = []
        self._problems: list[Problem] = []
        self._malformed: frozenset[str] = frozenset()
        if malformed:
            self._add(malformed)
            self._malformed = frozenset(problem.key for problem in self._problems if problem.key)

    def check(self, step: Callable[[], T], key: str = "") -> T | None:
        """Run a check.

        Args:
            step: The check.
            key: The key that its faults concern if they do not name one.

        Returns:
            The result of the check, or None if it found a fault.
        """
        try:
            return step()
        except (InvalidInput, Forbidden, Unprocessable) as error:
            self._add(error, key)
            return None

    @property
    def cut(self) -> bool:
        """Whether there are so many faults that a check may have left some out."""
        return len(self._problems) >= MAX_PROBLEMS

    def concern(self, *keys: str) -> bool:
        """Return whether a fault is at one of these keys, above or below it."""
        return any(_related(problem.key, key) for problem in self._problems for key in keys)

    def without_faulty_components(self, document: StreamV2) -> StreamV2:
        """Return the document without the components that have faults, and without references to them."""
        faulty = {problem.component for problem in self._problems}
        rpms = {key: each for key, each in document.rpm_components.items() if printable(key) not in faulty}
        gone = document.rpm_components.keys() - rpms.keys()
        rpms = {
            key: replace(each, buildafter=[name for name in each.buildafter if name not in gone])
            for key, each in rpms.items()
        }
        modules = {
            key: each for key, each in document.module_components.items() if printable(key) not in faulty
        }
        return replace(document, rpm_components=rpms, module_components=modules)

    def raise_any(self) -> None:
        """Raise the first error, with the problems of all.

        Raises:
            MBSError: A check has found a fault.
        """
        if not self._errors:
            return
        first, others = self._errors[0], len(self._problems) - len(_problems(self._errors[0]))
        if isinstance(first, ModulemdError):
            message = ModulemdError.of(self._problems).message
        else:
            message = f"{first.message} (and {others} other faults)" if others > 0 else first.message
        raise type(first)(message, code=first.code, hint=first.hint, problems=self._problems[:MAX_FAULTS])

    def _add(self, error: MBSError, key: str = "") -> None:
        named = [each if each.key or each.component else replace(each, key=key) for each in _problems(error)]
        found = self._locator.locate(named)
        new = [
            problem
            for problem in found
            if problem not in self._problems
            and not (problem.key and any(_related(problem.key, key) for key in self._malformed))
        ]
        if new:
            self._errors.append(error)
            self._problems += new


def _problems(error: MBSError) -> Sequence[Problem]:
    return error.problems or [Problem(error.code, error.message, hint=error.hint)]


def _related(one: str, other: str) -> bool:
    """Return whether two dotted keys are the same, or one is above the other."""
    return bool(one and other) and (f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}."))


def in_included(key: str, text: str, error: MBSError) -> MBSError:
    """Return the error of an included document, with the name of the included module in each problem.

    Args:
        key: The component that includes it.
        text: The included document.
        error: Its error.
    """
    shown = printable(key)
    where = f"In the included module {shown}:"
    problems = [
        replace(each, message=f"{where} {each.message}", component=each.component or shown)
        for each in Locator(text).locate(_problems(error))
    ]
    return type(error)(f"{where} {error.message}", code=error.code, hint=error.hint, problems=problems)


def through_modules(placed: Iterable[Placed[RpmComponent]], error: MBSError) -> MBSError:
    """Return the error of components; each problem names the included module that contains the component.

    Args:
        placed: All components.
        error: The error.
    """
    paths = {each.component.name: [*map(printable, each.path)] for each in placed if each.path}
    problems = [
        replace(
            each,
            message=f"In the included module {' > '.join(path)}: {each.message}",
            key=f"data.components.modules.{path[0]}",
        )
        if (path := paths.get(each.component))
        else each
        for each in error.problems
    ]
    return type(error)(error.message, code=error.code, hint=error.hint, problems=problems)
