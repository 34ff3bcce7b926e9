"""Danish time: in which the publishers date their tables, the nights begin, and people name a day."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

TIMEZONE = "Europe/Copenhagen"
COPENHAGEN = ZoneInfo(TIMEZONE)


def end_of_day(as_of: datetime | None) -> datetime | None:
    """Return a moment in UTC as it is meant: one without a zone is Danish time, a plain date the end of that day.

    A midnight that names no zone is taken for a plain date, since nothing tells them apart once they are read.
    """
    if as_of is None:
        return None
    if as_of.tzinfo is not None:
        return as_of.astimezone(UTC)
    if as_of.time() == time.min:
        as_of = datetime.combine(as_of, time.max)
    return as_of.replace(tzinfo=COPENHAGEN).astimezone(UTC)


def shown(moment: datetime, as_of: datetime) -> str:
    """Return a moment in Danish time: the day when `as_of` is the end of one, else to the minute."""
    whole_day = as_of.astimezone(COPENHAGEN).strftime("%H:%M:%S") == "23:59:59"
    return moment.astimezone(COPENHAGEN).strftime("%Y-%m-%d" if whole_day else "%Y-%m-%d %H:%M")
