"""Show an outage of the build system in the texts of all waits, while it lasts.

While the build system is unavailable, it reports no ends of builds. A sweep that notices this puts the outage
before the texts of all waits, so that people see why nothing happens. A sweep that reaches the build system
again removes it.

A build is in an outage while the text of one of its waits begins with one. A log message is written for the
first of these waits, so that each outage causes one message per build, and not one per try.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Concat, Left, StrIndex, Substr

from builds.models import ModuleBuild, Wait
from builds.models.locking import locked
from builds.services import log_messages
from mbs.states import ACTIVE, BuildState

_BEGIN = "an outage: "
#: Text between the outage and the text of a wait.
_END = "; until it is over: "
_MAX_LENGTH = 300
_WHAT = int(Wait._meta.get_field("what").max_length or 0)


def begin(error: Exception) -> None:
    """Begin the text of each wait with an outage, unless it begins with one already."""
    text = f"{_BEGIN}{str(error)[:_MAX_LENGTH]}{_END}"
    marked = Left(Concat(Value(text), F("what")), _WHAT)
    unmarked = Wait.objects.exclude(what__startswith=_BEGIN)
    with transaction.atomic():
        report(unmarked.values_list("module_build_id", flat=True).distinct(), error)
        unmarked.update(what=marked)


def text_of(error: Exception, remedy: str = "") -> str:
    """Return the text of a wait for a task that is retried because of an outage.

    Args:
        error: The outage.
        remedy: Advice for people, if there is any.
    """
    return f"{_BEGIN}{error}{f' {remedy}' if remedy else ''}"


def report(build_ids: Iterable[int], error: Exception) -> None:
    """Add a log message about an outage to these builds, except those whose waits mention an outage already.

    The caller's transaction marks their waits afterwards. It keeps the builds locked until it ends, so that
    only one of several tasks of a build writes a message.

    Args:
        build_ids: Numbers of waiting builds.
        error: The outage.
    """
    in_outage = Wait.objects.filter(module_build=OuterRef("pk"), run=OuterRef("run"), what__startswith=_BEGIN)
    going_on = ModuleBuild.objects.filter(pk__in=list(build_ids), state__in=[*ACTIVE, BuildState.DONE])
    numbers = [build.pk for build in locked(going_on.only("pk"))]
    # Queried after locking, so that waits which another task has committed meanwhile count.
    new = ModuleBuild.objects.filter(~Exists(in_outage), pk__in=numbers).only("pk")
    log_messages.add((build, f"The build waits for the end of an outage: {error}") for build in new)


def end() -> None:
    """Remove outages from the texts of waits."""
    text = Substr(F("what"), StrIndex(F("what"), Value(_END)) + len(_END))
    Wait.objects.filter(what__startswith=_BEGIN, what__contains=_END).update(what=text)
