"""Have everything that waits say that the build system is away, for as long as it is.

A build whose components are under way waits for the build system to tell of their end. While that is away
nothing will be told, and a person who looks should not have to guess it. The sweep that finds the build
system away writes so before the texts of all waits, and the one that finds it back takes it off again.
"""

from __future__ import annotations

from django.db.models import F, Value
from django.db.models.functions import Concat, Left, StrIndex, Substr

from builds.models import Wait

_BEGIN = "an outage: "
#: between the outage and the text of a wait
_END = "; until it is over: "
_LONGEST = 300
_WHAT = int(Wait._meta.get_field("what").max_length or 0)


def begin(error: Exception) -> None:
    """Write an outage before the texts of all waits that do not tell of one."""
    text = f"{_BEGIN}{str(error)[:_LONGEST]}{_END}"
    marked = Left(Concat(Value(text), F("what")), _WHAT)
    Wait.objects.exclude(what__startswith=_BEGIN).update(what=marked)


def over() -> None:
    """Take outages off the texts of waits again."""
    text = Substr(F("what"), StrIndex(F("what"), Value(_END)) + len(_END))
    Wait.objects.filter(what__startswith=_BEGIN, what__contains=_END).update(what=text)
