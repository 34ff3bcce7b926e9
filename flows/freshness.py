"""How old things are, judged at a given moment, and when the next run is due. Pure: nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from expectations.terms import Outcome
from flows.snapshots import Snapshot
from transforms.catalogue import Source

RULE_ID = "source_not_too_old"
SEARCH_DAYS = 366
FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@dataclass(frozen=True)
class SourceAge:
    """The age of a source's newest snapshot in whole days, at the moment it was judged."""

    source_id: str
    received: datetime
    age_days: int
    max_age_days: int

    @property
    def too_old(self) -> bool:
        """Tell whether the age is beyond what the source's file allows."""
        return self.age_days > self.max_age_days


def age_in_days(moment: datetime | str, at: datetime) -> int:
    """Return the whole days from `moment` (ISO text or datetime, UTC when it names no zone) to `at`."""
    return (_aware(at) - _aware(moment)).days


def _aware(moment: datetime | str) -> datetime:
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def source_ages(sources: Mapping[str, Source], snapshots: Mapping[str, Snapshot], at: datetime) -> dict[str, SourceAge]:
    """Return source id -> age at `at`, for the sources that have a snapshot."""
    return {
        source_id: SourceAge(
            source_id,
            _aware(snapshot.manifest.retrieved_at),
            age_in_days(snapshot.manifest.retrieved_at, at),
            sources[source_id].max_age_days,
        )
        for source_id, snapshot in sorted(snapshots.items())
    }


def check_ages(sources: Mapping[str, Source], snapshots: Mapping[str, Snapshot], at: datetime) -> list[Outcome]:
    """Return one outcome per source with a snapshot; one that is older than its `max_age_days` at `at` stops.

    `at` is the day a build is as of, else the moment the run started: an old baseline is not stale by being old.
    """
    return [_outcome(age) for age in source_ages(sources, snapshots, at).values()]


def _outcome(age: SourceAge) -> Outcome:
    return Outcome(
        rule_id=RULE_ID,
        table_name=f"staging.{age.source_id}",
        severity="critical",
        action="stop",
        description=f"the newest snapshot of a source must not be older than its max_age_days of {age.max_age_days}",
        n_violations=int(age.too_old),
        rows_scanned=1,
        examples=(f"received {age.received:%Y-%m-%d}, {age.age_days} days ago",) if age.too_old else (),
        success=not age.too_old,
    )


def publication_fault(
    confirmed: datetime | str | None, max_age_days: int, at: datetime, cure: str = "kommunekort run"
) -> str | None:
    """Return one sentence when the publication was last confirmed by a good run too long ago, else None.

    `cure` is the command to run, as it is typed for the data at hand.
    """
    if confirmed is None:
        return None
    age = age_in_days(confirmed, at)
    if age <= max_age_days:
        return None
    return (
        f"the last good run is {age} days old, more than {max_age_days} (KOMMUNEKORT_MAX_PUBLICATION_AGE_DAYS); "
        f"run `{cure}` and see why the nightly run did not"
    )


def next_run(cron: str, timezone: str, after: datetime) -> datetime | None:
    """Return the first moment after `after` that a five-field cron line names, in `timezone`.

    None when there is none within a year, or when the line uses more than numbers, `*`, lists, ranges and steps.
    """
    allowed = _fields(cron)
    if allowed is None:
        return None
    minutes, hours, days, months, weekdays = allowed
    zone = ZoneInfo(timezone)
    start = after.astimezone(zone)
    any_day, any_weekday = (text.startswith("*") for text in (cron.split()[2], cron.split()[4]))
    for offset in range(SEARCH_DAYS):
        day = start.date() + timedelta(days=offset)
        on_day, on_weekday = day.day in days, (day.isoweekday() % 7) in weekdays
        # Where both are given, cron runs on either.
        fits = (on_day or on_weekday) if not any_day and not any_weekday else (on_day and on_weekday)
        if day.month not in months or not fits:
            continue
        for hour in sorted(hours):
            for minute in sorted(minutes):
                # Through UTC and back: 02:30 on the night the clock moves on becomes 03:30.
                there = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                moment = there.astimezone(UTC).astimezone(zone)
                if moment > start:
                    return moment
    return None


def _fields(cron: str) -> list[set[int]] | None:
    texts = cron.split()
    if len(texts) != len(FIELDS):
        return None
    try:
        sets = [_field(text, low, high) for text, (low, high) in zip(texts, FIELDS, strict=True)]
    except ValueError:
        return None
    sets[4] = {value % 7 for value in sets[4]}
    return sets


def _field(text: str, low: int, high: int) -> set[int]:
    """Return the numbers one field allows; ValueError when it is beyond what is read here."""
    allowed: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            begin, _, end = span.partition("-")
            first = int(begin)
            last = int(end) if end else (high if step else first)
        every = int(step) if step else 1
        if every < 1 or not low <= first <= last <= high:
            raise ValueError(part)
        allowed.update(range(first, last + 1, every))
    return allowed


def as_plain(ages: Mapping[str, SourceAge]) -> dict[str, dict[str, Any]]:
    """Return the ages as JSON-able values, for the ledger and the artifacts."""
    return {
        source_id: {
            "received": age.received.isoformat(),
            "age_days": age.age_days,
            "max_age_days": age.max_age_days,
        }
        for source_id, age in ages.items()
    }
