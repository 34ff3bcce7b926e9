"""How old things are, judged at a given moment, and when the next run is due. Pure: nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from expectations.rules import Outcome
from flows.store.snapshots import Snapshot
from transforms.catalogue import Source

RULE_ID = "source_not_too_old"


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
