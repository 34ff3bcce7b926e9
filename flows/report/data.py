"""What the report shows, read once from a published database into plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from transforms.errors import UsageError
from transforms.models.wording import danish_key
from transforms.warehouse import Warehouse, quote_table

Row = dict[str, Any]
Key = TypeVar("Key")
MOST_PERIODS = 12
OVER_ALL_YEARS = (
    "employment_rate_non_western_pct", "employment_rate_non_western_women_pct", "employment_gap_non_western_pp",
    "employment_rate_danish_pct",
)  # fmt: skip
OPTIONAL = (
    "mart.expected", "mart.peer", "mart.industry_match", "mart.finding", "mart.method_candidate", "mart.method_effect",
    "mart.eligibility", "mart.organisation", "meta.model", "meta.validation", "meta.protection",
    "reference.peer_weights", "reference.finding_rules", "reference.method_rules", "reference.methods",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure with everything a reader may ask of it. `n` is the denominator when it counts something."""

    value: float | None
    status: str
    period: str
    day: date | None
    n: float | None = None


FIGURES = """
    SELECT {code}, indicator_id, value::DOUBLE, value_status, period, reference_date,
        -- What a figure is made over; a growth's denominator is not that, but what there was before.
        if(value IS NOT NULL AND operation IN ('ratio', 'value', 'delivery'), denominator::DOUBLE, NULL)
    FROM {table} JOIN mart.indicator USING (indicator_id)
"""
Series = dict[str, Cell]
"""Period -> cell."""


@dataclass
class ReportData:
    """Everything the pages are made of. `tables` holds the optional tables; an absent one has no key.

    `newest_day` is the newest day any figure refers to. `periods` are those shown everywhere; `history` holds every
    period, for the indicators drawn over all years. `conditions` holds the newest framework conditions behind the
    peers, by municipality. `revised`: the published figures this release changed, the largest relative changes first;
    None where the database does not tell.
    """

    release: Row
    run: Row
    municipalities: list[Row]
    indicators: dict[str, Row]
    mapping: dict[str, Row]
    sources: dict[str, Row]
    snapshots: dict[str, Row]
    dictionary: list[Row]
    newest_day: date | None
    values: dict[str, dict[str, Series]] = field(default_factory=dict)
    national: dict[str, Series] = field(default_factory=dict)
    periods: dict[str, list[str]] = field(default_factory=dict)
    history: dict[str, list[str]] = field(default_factory=dict)
    conditions: dict[str, dict[str, float]] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    by_municipality: dict[str, dict[str, list[Row]]] = field(default_factory=dict, repr=False)
    revised: list[Row] | None = None

    @cached_property
    def names(self) -> dict[str, str]:
        """Return the name of every municipality by its code."""
        return {str(row["municipality_code"]): str(row["municipality_name"]) for row in self.municipalities}

    @property
    def is_synthetic(self) -> bool:
        """Tell whether the figures are invented."""
        return bool(self.release.get("is_synthetic"))

    @cached_property
    def by_name(self) -> list[Row]:
        """Return the municipalities in Danish order."""
        return sorted(self.municipalities, key=lambda m: danish_key(str(m["municipality_name"])))

    def cell(self, code: str, indicator_id: str) -> Cell | None:
        """Return a municipality's cell of the indicator's newest period."""
        series, periods = self.values.get(indicator_id, {}).get(code, {}), self.periods.get(indicator_id)
        return series.get(periods[-1]) if periods else None

    def of(self, table: str, code: str) -> list[Row] | None:
        """Return a table's rows of one municipality; None when the database does not have the table."""
        rows = self.by_municipality.get(table)
        return None if rows is None else rows.get(code, [])


def grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """Return the rows by their keys, in the order in which these come."""
    out: dict[Key, list[Row]] = {}
    for row in rows:
        out.setdefault(key(row), []).append(row)
    return out


def read_rows(warehouse: Warehouse, table: str, order: str = "ALL") -> list[Row]:
    """Return a whole table as dicts, decimals as floats, sorted."""
    return warehouse.dicts(f"SELECT * FROM {quote_table(table)} ORDER BY {order}")


def read_query(name: str) -> str:
    """Return one of the report's longer queries."""
    return (Path(__file__).parent / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def load(database: Path) -> ReportData:
    """Return everything the report shows. UsageError when the file is no published mapping."""
    if not database.exists():
        raise UsageError(f"{database}: nothing is published yet; run `kommunekort run`")
    with Warehouse.open(database, read_only=True) as warehouse:
        absent = [t for t in ("mart.municipality", "mart.indicator", "mart.indicator_value", "meta.release")
                  if not warehouse.exists(t)]  # fmt: skip
        if absent:
            raise UsageError(f"{database}: {absent[0]} is not there, so this is no published mapping")
        data = ReportData(
            release=next(iter(read_rows(warehouse, "meta.release")), {}),
            run=next(iter(read_rows(warehouse, "meta.run")), {}),
            municipalities=read_rows(warehouse, "mart.municipality", "municipality_code"),
            indicators={str(row["indicator_id"]): row for row in read_rows(warehouse, "mart.indicator")},
            mapping={str(row["municipality_code"]): row for row in read_rows(warehouse, "mart.mapping")},
            sources={str(row["source_id"]): row for row in read_rows(warehouse, "meta.source")},
            snapshots={str(row["source_id"]): row for row in read_rows(warehouse, "meta.snapshot")},
            dictionary=read_rows(warehouse, "meta.data_dictionary", "table_name, column_position"),
            newest_day=warehouse.scalar("SELECT max(reference_date) FROM mart.indicator_value WHERE is_newest"),
        )
        for table in OPTIONAL:
            if warehouse.exists(table):
                data.tables[table] = rows = read_rows(warehouse, table)
                data.by_municipality[table] = grouped(rows, lambda row: str(row.get("municipality_code")))
        if warehouse.exists("meta.revision"):
            data.revised = warehouse.dicts(read_query("revised"))
        _read_values(warehouse, data)
        if "reference.peer_weights" in data.tables:
            data.conditions = _conditions(warehouse)
    return data


def _conditions(warehouse: Warehouse) -> dict[str, dict[str, float]]:
    """Return the newest known value of each weighted condition by municipality, as the peers are found on."""
    out: dict[str, dict[str, float]] = {}
    for code, indicator, value in warehouse.rows(read_query("conditions")):
        out.setdefault(str(code), {})[str(indicator)] = float(value)
    return out


def _read_values(warehouse: Warehouse, data: ReportData) -> None:
    periods: dict[str, list[str]] = dict(warehouse.rows(read_query("periods")))
    data.periods = {indicator: known[-MOST_PERIODS:] for indicator, known in periods.items()}
    data.history = {indicator: periods[indicator] for indicator in OVER_ALL_YEARS if indicator in periods}
    read = {indicator: {*known, *data.history.get(indicator, [])} for indicator, known in data.periods.items()}
    query = FIGURES.format(code="municipality_code", table="mart.indicator_value")
    if warehouse.exists("mart.indicator_national"):
        query += " UNION ALL " + FIGURES.format(code="''", table="mart.indicator_national")
    for code, indicator, *figure in warehouse.rows(f"{query} ORDER BY ALL"):
        cell = Cell(*figure)
        if cell.period in read.get(indicator, ()):
            by_code = data.values.setdefault(indicator, {})
            series = by_code.setdefault(code, {}) if code else data.national.setdefault(indicator, {})
            series[cell.period] = cell
