"""Write log messages of builds and components: what happened to them, and who asked for it.

Callers add messages in the transaction of the change that they report, and only where that change is made. So
a step that runs twice writes once, and a change that is rolled back leaves no message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from django.db.models import Count, Q

from builds.models import ComponentBuild, LogMessage, ModuleBuild, clock

#: messages that one module build has at most, without those of its components
MAX_OF_BUILD = 500
#: messages that one component has at most
MAX_OF_COMPONENT = 50
#: characters of one message; longer ones are cut
MAX_LENGTH = 1000
#: names that one message lists
MAX_NAMES = 20
_CUT = " ..."
_FULL = "There are too many messages: later ones are not recorded."


def add(messages: Iterable[tuple[ModuleBuild | ComponentBuild, str]]) -> None:
    """Add messages to builds or components, in two statements for all of them.

    The last message that fits says that later ones are not recorded.

    Args:
        messages: what each is about, which must be recorded, and its text.
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


def listed(names: Iterable[str]) -> str:
    """Return names for a message, in order: the first ones, and how many more there are."""
    ordered = sorted(names)
    rest = len(ordered) - MAX_NAMES
    return ", ".join(ordered[:MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - len(_CUT)] + _CUT


def _counts(about: Sequence[ModuleBuild | ComponentBuild]) -> Counter[tuple[bool, int]]:
    """Return the numbers of messages by owner: whether it is a module build, and its primary key."""
    builds = {each.pk for each in about if isinstance(each, ModuleBuild)}
    components = {each.pk for each in about if isinstance(each, ComponentBuild)}
    rows = LogMessage.objects.filter(Q(module_build__in=builds) | Q(component_build__in=components))
    counted = rows.order_by().values_list("module_build_id", "component_build_id").annotate(Count("pk"))
    found: Counter[tuple[bool, int]] = Counter()
    for build, component, count in counted:
        # A row may name both.
        if build in builds:
            found[True, build] += count
        if component in components:
            found[False, component] += count
    return found
