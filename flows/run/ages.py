"""How old things are, judged at a given moment. Pure: nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from expectations.rules import Outcome, set_rule
from flows.store.snapshots import Snapshot, SnapshotStore
from transforms.catalogue import Source
from transforms.errors import DataRefused
from transforms.periods import age_in_days, aware, span

RULE_ID = "source_not_too_old"


GRACE_DAYS = {"month": 31, "quarter": 45, "rolling_year": 45, "year": 90}
"""How much later than usual a publication may come before the table counts as standing still."""
MONTHS = {"month": 1, "quarter": 3, "rolling_year": 3, "year": 12}


@dataclass(frozen=True)
class SourceAge:
    """The age of a source's newest snapshot in whole days, at the moment it was judged.

    `since` is the day its publisher updated the table, or that it was received where the publisher does not say
    (invented data). Files by hand are as old as their newest period, counted from the day it was to be published; they
    never stop a build, since nobody can fetch them by night. `due`: the day by which a newer period than
    `newest_period` should have come.
    """

    source_id: str
    received: datetime
    since: datetime
    age_days: int
    max_age_days: int
    required: bool = False
    newest_period: str | None = None
    due: datetime | None = None
    stale: bool = False
    """Whether the newest period has stood still for longer than the table's frequency and lag allow."""
    standing_still: str = ""
    """That a table fetched from a register stands still, in words; nobody is told so of files by hand."""

    @property
    def too_old(self) -> bool:
        """Tell whether the age is beyond what the source's file allows."""
        return self.age_days > self.max_age_days


def from_the_future(moment: datetime | str, at: datetime) -> bool:
    """Tell whether a moment lies more than a day after `at`: one of the two was told by a clock that is wrong."""
    return aware(moment) - aware(at) > timedelta(days=1)


def source_ages(sources: Mapping[str, Source], snapshots: Mapping[str, Snapshot], at: datetime) -> dict[str, SourceAge]:
    """Return source id -> age at `at`, for the sources that have a snapshot."""
    known = sorted(sources.keys() & snapshots.keys())
    return {source_id: _age(sources[source_id], snapshots[source_id], at) for source_id in known}


def source_states(
    sources: Mapping[str, Source], store: SnapshotStore, at: datetime, *, as_of: datetime | None, synthetic: bool | None
) -> list[dict[str, Any]]:
    """Return one row per source: its newest snapshot known by `as_of`, age at `at`, age allowed and state.

    `ok`, `stale`, `too old`, `missing` or `unreadable`; `not fetched` are deliveries and own tables.
    """
    rows = []
    for source in sources.values():
        age, found, state = None, None, "missing" if source.is_register else "not fetched"
        try:
            found = store.newest(source.id, as_of, synthetic)
        except DataRefused:
            state = "unreadable"
        if found is not None:
            age = _age(source, found, at)
            state = "too old" if age.too_old else "stale" if age.stale else "ok"
        rows.append(
            {
                "source_id": source.id,
                "producer": source.producer,
                "title": source.title_da,
                "frequency": source.frequency,
                "licence": source.licence,
                "snapshot": found.path.name if found else None,
                "origin": found.manifest.origin if found else None,
                "received": age.received.isoformat() if age else None,
                "newest_period": age.newest_period if age else None,
                "age_days": age.age_days if age else None,
                "max_age_days": source.max_age_days,
                "status": state,
            }
        )
    return sorted(rows, key=lambda row: str(row["source_id"]))


def _age(source: Source, snapshot: Snapshot, at: datetime) -> SourceAge:
    manifest = snapshot.manifest
    # Invented data are as old as they are made: their publisher lives in another year.
    published = None if manifest.synthetic else manifest.published_at
    # A publisher's day that lies ahead is none: the table would never age.
    received = aware(manifest.retrieved_at)
    since = min(aware(published), received) if published else received
    newest = None if manifest.synthetic else _newest_period(snapshot)
    by_hand = newest is not None and manifest.origin == "directory"
    if by_hand and newest is not None:
        since = min(since, _published(newest, source, since))
    periods = (manifest.query.get("rectangle") or {}).get("TID") or [newest]
    ended = source.has_ended(at.date())  # the last figures stay the last ones
    due = next_due(source, periods, published) if newest and not ended else None
    late = due is not None and age_in_days(due, at) > 0
    return SourceAge(
        source.id,
        aware(manifest.retrieved_at),
        since,
        0 if ended else age_in_days(since, at),
        source.max_age_days,
        source.required and not by_hand,
        newest,
        due,
        late,
        standing_still(source, newest, due) if due and late and not by_hand else "",
    )


def _published(newest: str, source: Source, otherwise: datetime) -> datetime:
    """Return the day a period was to be published: its end and the lag of the source's file."""
    try:
        last = span(newest)[1]
    except (ValueError, KeyError, IndexError):
        return otherwise
    return datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=source.publication_lag_days)


def _newest_period(snapshot: Snapshot) -> str | None:
    """Return the newest period a snapshot was asked for, or that its answer holds; None when nobody wrote it down."""
    query = snapshot.manifest.query
    periods = (query.get("rectangle") or {}).get("TID") or query.get("periods") or [query.get("newest_period")]
    return max((str(period) for period in periods if period), default=None)


def next_due(source: Source, periods: Sequence[str], published_at: str | None) -> datetime | None:
    """Return the day by which the period after the last of `periods` should be published; None for what is no period.

    The publisher's own rhythm counts where it is known (one step after the last update), else the end of the next
    period and the lag of the source's file; the earlier of both, and some grace.
    """
    kind = source.period_kind or "year"
    try:
        step = max(MONTHS[kind], _months(periods[-1]) - _months(periods[-2]) if len(periods) > 1 else 0)
        last_day = span(periods[-1])[1]
    except (ValueError, KeyError, IndexError):
        return None
    month = last_day.year * 12 + last_day.month - 1 + step
    ends = datetime(month // 12, month % 12 + 1, 28, tzinfo=UTC)
    usual = ends + timedelta(days=source.publication_lag_days)
    if published_at:
        usual = min(usual, aware(published_at) + timedelta(days=round(step * 30.5)))
    return usual + timedelta(days=GRACE_DAYS[kind if step < 12 else "year"])


def standing_still(source: Source, newest_period: str | None, due: datetime) -> str:
    """Return in one sentence that a table has had no new period for longer than it should, and what to do."""
    return (
        f"its newest period is {newest_period}, and the next was due by {due:%Y-%m-%d}: closed, replaced or late; find "
        f"the table that follows it, or write the day it ended as `ended:` in flows/sources/{source.id}.yml"
    )


def _months(period: str) -> int:
    first = span(period)[0]
    return first.year * 12 + first.month


def check_ages(sources: Mapping[str, Source], snapshots: Mapping[str, Snapshot], at: datetime) -> list[Outcome]:
    """Return the outcomes per source with a snapshot: older than its `max_age_days` at `at`, and standing still.

    Only a required source that is too old stops. `at` is the day a build is as of, else the moment the run started: an
    old baseline is not stale by being old.
    """
    return [outcome for age in source_ages(sources, snapshots, at).values() for outcome in _outcomes(age)]


def _outcomes(age: SourceAge) -> list[Outcome]:
    table = f"staging.{age.source_id}"
    told = "updated by its publisher" if age.since != age.received else "received"
    asked = f"the newest snapshot of a source is not older than its max_age_days of {age.max_age_days}"
    rule = set_rule(table, RULE_ID, "critical" if age.required else "warning", asked)
    example = f"{told} {age.since:%Y-%m-%d}, {age.age_days} days ago"
    found = [rule.found(int(age.too_old), 1, (example,) if age.too_old else ())]
    if age.stale and age.due is not None:
        asked = "a table gets a new period when its frequency and lag say so; else it was closed or replaced"
        example = f"the newest period is {age.newest_period}, the next was due by {age.due:%Y-%m-%d}"
        found.append(set_rule(table, "source_not_standing_still", "warning", asked).found(1, 1, (example,)))
    return found


def publication_fault(
    confirmed: datetime | str | None, max_age_days: int, at: datetime, cure: str = "kommunekort run"
) -> str | None:
    """Return one sentence when the publication was last confirmed by a good run too long ago, else None.

    `cure` is the command to run, as it is typed for the data at hand.
    """
    age = 0 if confirmed is None else age_in_days(confirmed, at)
    if age <= max_age_days:
        return None
    return (
        f"the last good run is {age} days old, more than {max_age_days} (KOMMUNEKORT_MAX_PUBLICATION_AGE_DAYS); "
        f"run `{cure}` and see why the nightly run did not"
    )


def as_plain(ages: Mapping[str, SourceAge]) -> dict[str, dict[str, Any]]:
    """Return the ages as JSON-able values, for the ledger and the artifacts."""
    return {
        source_id: {
            "received": age.received.isoformat(),
            "updated": age.since.isoformat(),
            "newest_period": age.newest_period,
            "stale": age.stale,
            "standing_still": age.standing_still,
            "age_days": age.age_days,
            "max_age_days": age.max_age_days,
        }
        for source_id, age in ages.items()
    }
