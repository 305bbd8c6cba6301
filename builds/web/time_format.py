"""Format times and durations for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


def duration(length: timedelta) -> str:
    """Return a duration such as "42 s", "2 min 05 s", "3 h 20 min" or "4 d 02 h". Negative ones are "0 s"."""
    seconds = max(0, round(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days} d {hours % 24:02} h"
    if hours:
        return f"{hours} h {minutes % 60:02} min"
    if minutes:
        return f"{minutes} min {seconds % 60:02} s"
    return f"{seconds} s"


@dataclass(frozen=True)
class Moment:
    """A time to be shown, and the current time."""

    time: datetime
    now: datetime

    @property
    def iso(self) -> str:
        """Return the time in ISO 8601 (UTC), to the second."""
        return self.time.astimezone(UTC).isoformat()[:19] + "Z"

    @property
    def full(self) -> str:
        """Return date and time in UTC."""
        return f"{self.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

    @property
    def clock(self) -> str:
        """Return the time of day in UTC, with the date if it is not today."""
        time = self.time.astimezone(UTC)
        return f"{time:%H:%M:%S}" if time.date() == self.now.astimezone(UTC).date() else f"{time:%F %H:%M}"

    @property
    def minute(self) -> str:
        """Return the time of day in UTC to the minute, with the date if it is not today."""
        time = self.time.astimezone(UTC)
        return f"{time:%H:%M}" if time.date() == self.now.astimezone(UTC).date() else f"{time:%F %H:%M}"

    @property
    def ago(self) -> str:
        """Return the age, or the date if it is older than three days."""
        age = self.now - self.time
        if age >= 3 * _DAY:
            return f"{self.time.astimezone(UTC):%F}"
        hours = age // _HOUR
        return f"{hours} h ago" if hours >= 3 else f"{duration(age)} ago"


def moment(time: datetime | None, now: datetime) -> Moment | None:
    """Return a Moment, or None if there is no time."""
    return None if time is None else Moment(time, now)
