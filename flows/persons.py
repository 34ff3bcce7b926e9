"""Person rows for a build: read from the restricted database when there is one and its key is at hand."""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING

from flows.settings import Settings
from transforms.persons import PersonData

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
TABLES = (("case", "cases"), ("measure", "measures"), ("employment", "employment"), ("organisation", "organisation"))


def state_of(settings: Settings, *, synthetic: bool) -> str | None:
    """Return the deliveries in force as one short text that changes with every accepted delivery; None without any."""
    data = read_ledger(settings, synthetic=synthetic)
    return data or None


def read_ledger(settings: Settings, *, synthetic: bool) -> str:
    """Return a hash over the deliveries in force of the wanted kind, empty when there are none."""
    import hashlib

    from flows.keys import load_keys
    from transforms.restricted import FILE, open_restricted

    if not (settings.restricted / FILE).is_file():
        return ""
    keys = load_keys(settings.key_file, settings.root)
    with open_restricted(settings.restricted, keys.database_key, read_only=True) as warehouse:
        rows = warehouse.rows(
            "SELECT delivery_id, content_id FROM restricted.delivery "
            "WHERE superseded_by IS NULL AND verdict <> 'afvist' AND is_synthetic = ? ORDER BY ALL",
            [synthetic],
        )
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16] if rows else ""


def load_person_data(settings: Settings, *, synthetic: bool) -> PersonData | None:
    """Return the person rows in force, or None when nothing was delivered. Invented and real rows are never mixed.

    Raises UsageError when there are deliveries but no usable key.
    """
    from flows.keys import load_keys
    from transforms.restricted import in_force, open_restricted

    state = state_of(settings, synthetic=synthetic)
    if state is None:
        return None
    keys = load_keys(settings.key_file, settings.root)
    with open_restricted(settings.restricted, keys.database_key, read_only=True) as warehouse:
        frames: dict[str, pd.DataFrame] = {}
        for table, kind in TABLES:
            if not warehouse.exists(f"restricted.{table}"):
                log.info("no %s were delivered; person-level results wait for them", kind)
                return None
            rows = in_force(warehouse, table, kind).to_pandas()
            frames[kind] = rows[rows["is_synthetic"].astype("bool") == synthetic].reset_index(drop=True)
    if frames["cases"].empty:
        return None
    until = min(end_of_period(str(period)) for period in frames["cases"]["period"].dropna().unique())
    return PersonData(frames["cases"], frames["measures"], frames["employment"], frames["organisation"], until, state)


def end_of_period(period: str) -> date:
    """Return the last day of `2025`, `2025K4` or `2025M11`."""
    import calendar

    year = int(period[:4])
    month = 12 if len(period) == 4 else int(period[5:]) * (3 if period[4] == "K" else 1)
    return date(year, month, calendar.monthrange(year, month)[1])
