"""Have everything that waits say that the build system is away, for as long as it is.

A build whose components are under way waits for the build system to tell of their end. While that is away
nothing will be told, and a person who looks should not have to guess it. The sweep that finds the build
system away writes so before the texts of all waits, and the one that finds it back takes it off again.

A build is in an outage while the text of one of its waits begins with it. The first of these waits writes a
log message too, so that there is one for each outage and build, and not one for each try.
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
#: between the outage and the text of a wait
_END = "; until it is over: "
_LONGEST = 300
_WHAT = int(Wait._meta.get_field("what").max_length or 0)


def begin(error: Exception) -> None:
    """Write an outage before the texts of all waits that do not tell of one."""
    text = f"{_BEGIN}{str(error)[:_LONGEST]}{_END}"
    marked = Left(Concat(Value(text), F("what")), _WHAT)
    unmarked = Wait.objects.exclude(what__startswith=_BEGIN)
    with transaction.atomic():
        report(unmarked.values_list("module_build_id", flat=True).distinct(), error)
        unmarked.update(what=marked)


def text_of(error: Exception, remedy: str = "") -> str:
    """Return the text of a wait for the end of an outage that one task met.

    Args:
        error: the outage.
        remedy: what a person can do about it, if anything.
    """
    return f"{_BEGIN}{error}{f' {remedy}' if remedy else ''}"


def report(build_ids: Iterable[int], error: Exception) -> None:
    """Write a log message to those of these builds that are not in an outage yet.

    The caller's transaction marks their waits afterwards. The builds stay locked until it ends, so that two
    tasks of one build do not both write.

    Args:
        build_ids: numbers of builds that wait.
        error: the outage.
    """
    in_outage = Wait.objects.filter(module_build=OuterRef("pk"), run=OuterRef("run"), what__startswith=_BEGIN)
    going_on = ModuleBuild.objects.filter(pk__in=list(build_ids), state__in=[*ACTIVE, BuildState.DONE])
    numbers = [build.pk for build in locked(going_on.only("pk"))]
    # Asked behind the locks: what another task has committed meanwhile counts.
    new = ModuleBuild.objects.filter(~Exists(in_outage), pk__in=numbers).only("pk")
    log_messages.add((build, f"The build waits for the end of an outage: {error}") for build in new)


def end() -> None:
    """Take outages off the texts of waits again."""
    text = Substr(F("what"), StrIndex(F("what"), Value(_END)) + len(_END))
    Wait.objects.filter(what__startswith=_BEGIN, what__contains=_END).update(what=text)
