"""Periods as the registers write them, one meaning each; and moments: in Danish time, in UTC, how old.

In Jobindsats M is a month, Q a calendar quarter, Y a calendar year. QMAT is a rolling year told by quarters (moving
annual total): `2024QMAT02` is the four quarters that end with the second quarter of 2024, 1 July 2023 to 30 June 2024.
Public scripts read the number as a month as well; a number above 04 is therefore refused and never guessed at.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from transforms.errors import DataRefused

MONTHS = ("jan", "feb", "mar", "apr", "maj", "jun", "jul", "aug", "sep", "okt", "nov", "dec")
LARGEST = {"M": 12, "Q": 4, "QMAT": 4, "Y": 1}
PERIOD_FORMS = {"year": r"\d{4}", "quarter": r"\d{4}K[1-4]", "month": r"\d{4}M(?:0[1-9]|1[0-2])"}
"""How StatBank writes the periods of a table, by its frequency."""
_CODE = re.compile(r"(\d{4})(QMAT|M|Q|K|Y)(\d{2}|\d)")
_YEAR = re.compile(r"\d{4}")
_QUARTER_TEXT = re.compile(r"([1-4])\.?\s*(?:kvt|kvartal|kv)\.?,?\s*(\d{4})")
_MONTH_TEXT = re.compile(r"([a-zæøå]{3,9})\.?,?\s*(\d{4})")


@lru_cache(maxsize=10_000)
def parse_period(text: str) -> str:
    """Return a period as `2016M03`, `2016K1`, `2016` or `2016QMAT01`; DataRefused when it is none of them.

    Takes the codes of both API versions (`2016Q1`, `2024Q04`, `2024Y01`) and the texts of Excel exports.
    """
    plain = " ".join(text.split())
    if match := _CODE.fullmatch(plain.upper()):
        kind, number = match[2].replace("K", "Q"), int(match[3])
        if 1 <= number <= LARGEST[kind]:
            forms = {"M": f"M{number:02d}", "Q": f"K{number}", "QMAT": f"QMAT{number:02d}", "Y": ""}
            return match[1] + forms[kind]
    elif _YEAR.fullmatch(plain) and 1900 < int(plain) < 2100:
        return plain
    elif match := _QUARTER_TEXT.fullmatch(plain.lower()):
        return f"{match[2]}K{match[1]}"
    elif (match := _MONTH_TEXT.fullmatch(plain.lower())) and match[1][:3] in MONTHS:
        return f"{match[2]}M{MONTHS.index(match[1][:3]) + 1:02d}"
    raise DataRefused(f"period {text!r}: none of the kinds month, quarter, year, rolling year (QMAT)")


def is_period(text: str) -> bool:
    """Tell whether a text is a period."""
    try:
        parse_period(text)
    except DataRefused:
        return False
    return True


def span(period: str) -> tuple[date, date]:
    """Return the first and last day of a period as `parse_period` writes it."""
    year, rest = int(period[:4]), period[4:]
    if not rest:
        first, last = (year, 1), (year, 12)
    elif rest.startswith("M"):
        first = last = (year, int(rest[1:]))
    elif rest.startswith("QMAT"):
        quarter = int(rest[4:])
        last = (year, 3 * quarter)
        first = (year, 1) if quarter == 4 else (year - 1, 3 * quarter + 1)
    else:
        quarter = int(rest[1:])
        first, last = (year, 3 * quarter - 2), (year, 3 * quarter)
    return date(*first, 1), date(*last, calendar.monthrange(*last)[1])


# Danish time: in which the publishers date their tables, the nights begin, and people name a day.


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


def aware(moment: datetime | str) -> datetime:
    """Return a moment (ISO text or datetime) with its time zone: UTC when it names none."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def utc_text(moment: datetime) -> str:
    """Return a moment as UTC in ISO 8601, to the second; such texts sort by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age_in_days(moment: datetime | str, at: datetime) -> int:
    """Return the whole days from `moment` (ISO text or datetime, UTC when it names no zone) to `at`.

    What is later than `at` is no day old: the clock was wrong then, or is now.
    """
    return max((aware(at) - aware(moment)).days, 0)
