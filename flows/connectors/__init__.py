"""The outside world: each register fetched into snapshots, and its snapshots read as canonical rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from flows.connectors.http import GivenUpError, Patience
from flows.store.snapshots import Origin, Snapshot, SnapshotStore
from transforms.errors import KommunekortError, fault_sentence

if TYPE_CHECKING:
    from transforms.catalogue import Source

Status = Literal["new", "unchanged", "failed"]


@dataclass(frozen=True)
class FetchOptions:
    """How sources are fetched, from whichever register.

    `again`: also what has not changed; `period`: that period alone, beside the others; `made_from`: what invented
    answers are made from. `on_progress` gets a source id and its bytes so far, `on_end` the id of a source that is
    through.
    """

    origin: Origin = "live"
    again: bool = False
    period: str | None = None
    made_from: Mapping[str, Any] | None = None
    patience: Patience | None = None
    max_workers: int = 4
    on_progress: Callable[[str, int], None] | None = None
    on_end: Callable[[str], None] | None = None

    @property
    def synthetic(self) -> bool:
        """Tell whether invented data are asked for."""
        return self.origin == "sample"


@dataclass(frozen=True)
class FetchResult:
    """What became of one source: `snapshot` is the newest accepted one, None when there never was any.

    `passes`: a failure that waiting may cure (no answer in time), not an answer that will be the same tomorrow.
    `trouble`: what is wrong for good though there is a snapshot (the table is closed). `notes`: what was left out,
    assumed or is new at the publisher, in words.
    """

    source_id: str
    status: Status
    snapshot: Snapshot | None
    message: str
    passes: bool = False
    trouble: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a look at a publisher's own description shows of one source: all well, something new, or a fault.

    `periods`: the newest two of the table, where the description tells them; `published_at`: its last update.
    """

    source_id: str
    level: Literal["ok", "new", "fault"]
    text: str
    periods: tuple[str, ...] = ()
    published_at: str | None = None


def finding_of(source: Source, error: Exception) -> Finding:
    """Return what an error shows of a source; what nobody foresaw is one source's trouble too.

    A table that has ended may be taken away: nobody waits for more of it.
    """
    told = str(error) if isinstance(error, KommunekortError | OSError) else fault_sentence(error)
    if not isinstance(error, GivenUpError | OSError) and source.has_ended(datetime.now(UTC).date()):
        return Finding(source.id, "ok", f"ended on {source.ended}: {told.partition('; ')[0]}")
    return Finding(source.id, "fault", told)


def failed(source: Source, store: SnapshotStore, options: FetchOptions, error: Exception) -> FetchResult:
    """Return the result of a source whose fetch ended with an error; it keeps what it had."""
    found, previous = finding_of(source, error), store.readable(source.id, synthetic=options.synthetic)
    if previous is not None and found.level == "ok":
        return FetchResult(source.id, "unchanged", previous, found.text)
    return FetchResult(source.id, "failed", previous, found.text, isinstance(error, GivenUpError | OSError))
