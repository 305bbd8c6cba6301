"""Write log messages of builds and components: events, and the users who caused them.

Callers add a message in the transaction of the change that it reports, and only if that change is made. So a
step that runs twice writes one message, and a change that is rolled back writes none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from django.db.models import Count, Q

from builds.models import ComponentBuild, LogMessage, ModuleBuild, clock

#: Messages of one module build, without those of its components.
MAX_OF_BUILD = 500
#: Messages of one component.
MAX_OF_COMPONENT = 50
#: Characters of one message; longer ones are cut.
MAX_LENGTH = 1000
#: Names that one message lists.
MAX_NAMES = 20
_CUT = " ..."
_FULL = "There are too many messages: later ones are not recorded."


def add(messages: Iterable[tuple[ModuleBuild | ComponentBuild, str]]) -> None:
    """Add messages to builds or components, by two statements.

    When a limit is reached, the last message says that later ones are not recorded.

    Args:
        messages: Pairs of a saved build or component, and the text.
    """
    wanted = [(about, _short(text)) for about, text in messages if text]
    if not wanted:
        return
    counts = _counts([about for about, _ in wanted])
    now = clock.now()
    rows = []
    for about, text in wanted:
        is_build = isinstance(about, ModuleBuild)
        most = MAX_OF_BUILD if is_build else MAX_OF_COMPONENT
        counts[is_build, about.pk] += 1
        if counts[is_build, about.pk] > most:
            continue
        if counts[is_build, about.pk] == most:
            text = _FULL
        owner = {"module_build_id" if is_build else "component_build_id": about.pk}
        rows.append(LogMessage(**owner, message=text, time_created=now))
    LogMessage.objects.bulk_create(rows, batch_size=1000)


def join_names(names: Iterable[str]) -> str:
    """Return a sorted list of names for a message; if there are many, the first and how many more."""
    ordered = sorted(names)
    rest = len(ordered) - MAX_NAMES
    return ", ".join(ordered[:MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - len(_CUT)] + _CUT


def _counts(about: Sequence[ModuleBuild | ComponentBuild]) -> Counter[tuple[bool, int]]:
    """Return how many messages each has, by (whether it is a module build, primary key)."""
    builds = {each.pk for each in about if isinstance(each, ModuleBuild)}
    components = {each.pk for each in about if isinstance(each, ComponentBuild)}
    rows = LogMessage.objects.filter(Q(module_build__in=builds) | Q(component_build__in=components))
    counted = rows.order_by().values_list("module_build_id", "component_build_id").annotate(Count("pk"))
    found: Counter[tuple[bool, int]] = Counter()
    for build, component, count in counted:
        # A row may refer to both.
        if build in builds:
            found[True, build] += count
        if component in components:
            found[False, component] += count
    return found
