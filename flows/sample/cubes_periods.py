"""Periods as the publisher writes them (2016, 2016K1, 2016M01) and the days they speak of."""

from __future__ import annotations

from datetime import date, timedelta

_MONTHS = {"K": 3, "M": 1}
_FIXED_DAYS = {"october": (10, 1), "november": (11, 30)}


def all_periods(first: str, last_year: int) -> list[str]:
    """Return every period of the kind of `first`, from it to the end of `last_year`."""
    kind = first[4:5]
    years = range(int(first[:4]), last_year + 1)
    if not kind:
        return [str(year) for year in years]
    width, count = (1, 4) if kind == "K" else (2, 12)
    periods = [f"{year}{kind}{part:0{width}d}" for year in years for part in range(1, count + 1)]
    return [period for period in periods if period >= first]


def first_day(period: str) -> date:
    """Return the first day of a period."""
    months = _MONTHS.get(period[4:5], 12)
    return date(int(period[:4]), 1 + months * (int(period[5:] or 1) - 1), 1)


def last_day(period: str) -> date:
    """Return the last day of a period."""
    start, months = first_day(period), _MONTHS.get(period[4:5], 12)
    following = date(start.year + (start.month + months - 1) // 12, (start.month + months - 1) % 12 + 1, 1)
    return following - timedelta(days=1)


def reference_day(period: str, reference: str) -> date:
    """Return the day a period speaks of: its start, 1 October, the end of November, or its end."""
    if reference == "start":
        return first_day(period)
    if reference == "end":
        return last_day(period)
    return date(int(period[:4]), *_FIXED_DAYS[reference])
