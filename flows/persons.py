"""Person rows for a build: read from the restricted database when there is one and its key is at hand.

`known` says which deliveries count: all of them, those received by a moment, or those a frozen build had met.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from flows.settings import Settings
from transforms.errors import DataRefused
from transforms.persons import PersonData
from transforms.restricted import (
    EVERYTHING,
    FILE,
    Delivery,
    Known,
    find_delivery,
    last_delivery,
    open_restricted,
)
from transforms.restricted_superseded import deliveries_in_force, newest_periods, rows_of
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd

log = logging.getLogger(__name__)
TABLES = (("case", "cases"), ("measure", "measures"), ("employment", "employment"), ("organisation", "organisation"))


@dataclass(frozen=True)
class LedgerState:
    """The deliveries in force as one short text (None without any), and the last line of the ledger that was met."""

    state: str | None = None
    last_delivery: str = ""


def read_ledger(settings: Settings, *, synthetic: bool, known: Known = EVERYTHING) -> LedgerState:
    """Return the state of the ledger; `state` changes with every accepted delivery of the wanted kind."""
    if not (settings.restricted / FILE).is_file():
        return LedgerState()
    with open_deliveries(settings, read_only=True) as warehouse:
        deliveries = deliveries_in_force(warehouse, known, synthetic=synthetic)
        return LedgerState(_state(deliveries), last_delivery(warehouse, known))


def state_of(settings: Settings, *, synthetic: bool, known: Known = EVERYTHING) -> str | None:
    """Return the deliveries in force as one short text that changes with every accepted delivery; None without any."""
    return read_ledger(settings, synthetic=synthetic, known=known).state


def load_person_data(settings: Settings, *, synthetic: bool, known: Known = EVERYTHING) -> PersonData | None:
    """Return the person rows in force, or None when a kind was not delivered. Invented and real rows are never mixed.

    Raises UsageError when there are deliveries but no usable key, DataRefused when a delivery counts whose rows are
    gone.
    """
    if not (settings.restricted / FILE).is_file():
        return None
    with open_deliveries(settings, read_only=True) as warehouse:
        deliveries = deliveries_in_force(warehouse, known, synthetic=synthetic)
        state = _state(deliveries)
        if state is None:
            return None
        frames: dict[str, pd.DataFrame] = {}
        for table, kind in TABLES:
            counting = newest_periods(deliveries, kind)
            if not counting:
                log.info("no %s were delivered; person-level results wait for them", kind)
                return None
            frames[kind] = rows_of(warehouse, table, counting).to_pandas()
            refuse_lost(warehouse, counting, frames[kind])
    if frames["cases"].empty:
        return None
    until = min(end_of_period(str(period)) for period in frames["cases"]["period"].dropna().unique())
    return PersonData(frames["cases"], frames["measures"], frames["employment"], frames["organisation"], until, state)


def refuse_lost(warehouse: Warehouse, deliveries: list[Delivery], rows: pd.DataFrame) -> None:
    """Raise DataRefused naming the first superseded delivery whose rows are not all among `rows`.

    They are kept for `keep_superseded_days`; earlier versions of the program deleted them when a correction came.
    """
    stored = rows.groupby("delivery_id").size()
    for delivery in deliveries:
        held = int(stored.get(delivery.delivery_id, 0))
        if delivery.superseded_by is not None and held < delivery.rows_accepted:
            later = find_delivery(warehouse, delivery.superseded_by)
            raise DataRefused(
                f"{FILE}: delivery {delivery.delivery_id} ({delivery.kind} of {delivery.municipality_code} for "
                f"{delivery.period}) has {held} of {delivery.rows_accepted} rows left, since {later.delivery_id} "
                f"replaced it and rows replaced long ago are no longer kept; build as of {later.received_at[:10]} or "
                "later, or restore data/restricted from a backup of before"
            )


def open_deliveries(settings: Settings, *, read_only: bool) -> AbstractContextManager[Warehouse]:
    """Open the restricted database; UsageError without a usable key."""
    from flows.keys import load_keys

    keys = load_keys(settings.key_file, settings.root)
    return open_restricted(settings.restricted, keys.database_key, read_only=read_only)


def _state(deliveries: list[Delivery]) -> str | None:
    rows = [(delivery.delivery_id, delivery.content_id) for delivery in deliveries]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16] if rows else None


def end_of_period(period: str) -> date:
    """Return the last day of `2025`, `2025K4` or `2025M11`."""
    import calendar

    year = int(period[:4])
    month = 12 if len(period) == 4 else int(period[5:]) * (3 if period[4] == "K" else 1)
    return date(year, month, calendar.monthrange(year, month)[1])
