"""A run as it was asked for, and the candidate it builds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from expectations.terms import Outcome, blocking
from flows import publish
from flows.settings import Settings
from transforms.restricted import Known
from transforms.staging import StagingCount


@dataclass(frozen=True)
class RunInfo:
    """One run: its id (sorts in the order of the runs), when it started, and what it was asked.

    `last_delivery` is given to a rebuild: the last line of the ledger of deliveries it may know.
    """

    run_id: str
    started_at: datetime
    origin: str
    as_of: datetime | None = None
    last_delivery: str | None = None

    @property
    def known(self) -> Known:
        """Return which deliveries the run knows."""
        return Known(self.as_of, self.last_delivery)

    @classmethod
    def start(cls, settings: Settings, origin: str, as_of: datetime | None = None) -> RunInfo:
        """Return a new run, named by the moment it starts; after every known run even when the clock has gone back."""
        now = datetime.now(UTC)
        known = max(
            [*(path.stem for path in settings.runs.glob("*Z.json")), *(b.run_id for b in publish.builds(settings))],
            default="",
        )
        named = _run_id(now)
        if named <= known:
            named = _run_id(datetime.strptime(known, "%Y%m%dT%H%M%S%fZ") + timedelta(milliseconds=1))
        return cls(named, now, origin, as_of)


def _run_id(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S") + f"{moment.microsecond // 1000:03d}Z"


@dataclass
class Candidate:
    """A finished build that waits for its verdict."""

    path: Path
    release: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, StagingCount] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def stops(self) -> list[Outcome]:
        """Return the outcomes that forbid publication."""
        return blocking(self.outcomes)


def counts_table(candidate: Candidate) -> list[dict[str, Any]]:
    """Return one plain row per source: what was read, loaded, rejected and filled."""
    return [{"source_id": source, **asdict(count)} for source, count in candidate.counts.items()]
