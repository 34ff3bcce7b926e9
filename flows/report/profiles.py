"""One municipality's profile: what the template shows, worked out from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from markupsafe import Markup

from flows.report import charts
from flows.report.data import Cell, ReportData, Row
from flows.report.labels import DIMENSIONS, Words, outcome
from flows.report.organisation import organisation

TREND = {
    "danish": ("employment_rate_danish_pct", False),
    "total": ("employment_rate_non_western_pct", False),
    "women": ("employment_rate_non_western_women_pct", False),
    "nation": ("employment_rate_non_western_pct", True),
}
FIRST = (
    "employment_rate_non_western_pct",
    "employment_gap_non_western_pp",
    "refugees_and_family_count",
    "unemployment_pct",
)
NO_DIFFERENCE = ("persons", "jobs", "dwellings", "dkk_thousand")


@dataclass(frozen=True)
class Line:
    """One indicator of a municipality beside the country and the peers."""

    indicator: Row
    cell: Cell | None
    nation: Cell | None
    difference: float | None
    peers: float | None
    peers_known: int
    years: list[float | None]


@dataclass(frozen=True)
class Estimate:
    """One row of mart.expected with the words for its outcome."""

    row: Row
    label: Words
    unit: str


def line(data: ReportData, code: str, indicator_id: str, peer_codes: list[str]) -> Line:
    """Return an indicator's newest figure of a municipality, the country's of the same period and the peers' median."""
    indicator = data.indicators[indicator_id]
    cell = data.cell(code, indicator_id)
    periods = data.periods.get(indicator_id, [])
    nation = data.national.get(indicator_id, {}).get(periods[-1]) if periods else None
    difference = None
    if (
        cell
        and nation
        and cell.value is not None
        and nation.value is not None
        and indicator["unit"] not in NO_DIFFERENCE
    ):
        difference = cell.value - nation.value
    others = [
        other.value for peer in peer_codes if (other := data.cell(peer, indicator_id)) and other.value is not None
    ]
    own = data.values.get(indicator_id, {}).get(code, {})
    years = [own[period].value if period in own else None for period in periods]
    return Line(indicator, cell, nation, difference, median(others) if others else None, len(others), years)


def peers(data: ReportData, code: str) -> list[Row]:
    """Return a municipality's peers, nearest first; empty when there are none or the table is not there."""
    return sorted(data.of("mart.peer", code) or [], key=lambda row: row["peer_rank"])


def groups(data: ReportData, code: str, *, headlines: bool) -> list[tuple[Words, list[Line]]]:
    """Return the indicators by part of the mapping, the headlines or all of them."""
    near = [str(row["peer_code"]) for row in peers(data, code)]
    out = []
    for dimension, label in DIMENSIONS.items():
        rows = [
            line(data, code, key, near)
            for key, indicator in sorted(data.indicators.items(), key=_reading_order)
            if indicator["dimension"] == dimension and (indicator["is_headline"] or not headlines)
        ]
        if rows:
            out.append((label, rows))
    return out


def _reading_order(item: tuple[str, Row]) -> tuple[bool, str]:
    """Sort the first figures first, then by label."""
    return item[0] not in FIRST, str(item[1]["label_da"])


def estimates(data: ReportData, code: str) -> list[Estimate]:
    """Return the newest estimate per outcome of what a municipality could expect."""
    newest: dict[str, Row] = {}
    for row in sorted(data.of("mart.expected", code) or [], key=lambda r: str(r["period"])):
        newest[str(row["outcome_id"])] = row
    return [Estimate(row, *outcome(outcome_id, data.indicators)) for outcome_id, row in sorted(newest.items())]


def trend_rows(data: ReportData, code: str) -> list[dict[str, Any]]:
    """Return the employment rates over the years as the chart and the table beside it show them."""
    rows = []
    for series, (indicator_id, national) in TREND.items():
        own = data.values.get(indicator_id, {}).get(code, {})
        cells = data.national.get(indicator_id, {}) if national else own
        for period in data.periods.get(indicator_id, []):
            cell = cells.get(period)
            if cell is not None and cell.day is not None:
                rows.append({"year": cell.day.year, "value": cell.value, "series": series, "cell": cell})
    return rows


def trend(data: ReportData, code: str) -> tuple[Markup, list[tuple[int, dict[str, Cell]]]] | None:
    """Return the chart of employment rates and the same figures by year; None without at least two years."""
    rows = trend_rows(data, code)
    by_year: dict[int, dict[str, Cell]] = {}
    for row in rows:
        by_year.setdefault(row["year"], {})[row["series"]] = row["cell"]
    if len([row for row in rows if row["series"] == "total" and row["value"] is not None]) < 2:
        return None
    drawn = [{key: row[key] for key in ("year", "value", "series")} for row in rows]
    return charts.svg("trend", drawn, "trend-caption"), sorted(by_year.items())


def interval_chart(data: ReportData, code: str, outcome_id: str, names: dict[str, str]) -> Markup | None:
    """Return the municipality's difference beside its peers', each with its interval; None when it has none itself."""
    rows: dict[str, Row] = {}
    for other in [code, *(str(row["peer_code"]) for row in peers(data, code))]:
        found = [e.row for e in estimates(data, other) if e.row["outcome_id"] == outcome_id]
        if found and all(found[0].get(key) is not None for key in ("difference", "difference_low", "difference_high")):
            rows[other] = found[0]
    if code not in rows:
        return None
    drawn = [
        {
            "name": names.get(other, other), "own": other == code, "difference": float(row["difference"]),
            "low": float(row["difference_low"]), "high": float(row["difference_high"]),
        }
        for other, row in rows.items()
    ]  # fmt: skip
    return charts.svg("interval", drawn, "expected-caption")


def context(
    data: ReportData, municipality: Row, columns: dict[str, Words], units: dict[str, str | None]
) -> dict[str, Any]:
    """Return everything the profile template shows of one municipality."""
    code = str(municipality["municipality_code"])
    names = {str(row["municipality_code"]): str(row["municipality_name"]) for row in data.municipalities}
    near = peers(data, code)
    found = estimates(data, code)
    first = found[0] if found else None
    industries = data.of("mart.industry_match", code)
    findings = data.of("mart.finding", code)
    near_codes = [str(row["peer_code"]) for row in near]
    return {
        "m": municipality,
        "code_": code,
        "names": names,
        "mapping": data.mapping.get(code, {}),
        "first": [line(data, code, key, near_codes) for key in FIRST if key in data.indicators],
        "headlines": groups(data, code, headlines=True),
        "everything": groups(data, code, headlines=False),
        "peers": near if "mart.peer" in data.tables else None,
        "labels": data.indicators,
        "estimates": found if "mart.expected" in data.tables else None,
        "drawn": interval_chart(data, code, str(first.row["outcome_id"]), names) if first else None,
        "trend": trend(data, code),
        "findings": findings,
        "organisation": organisation(data, code),
        "industries": None
        if industries is None
        else sorted(
            (row for row in industries if row.get("match_score") is not None),
            key=lambda row: row.get("match_rank") or 99,
        ),
        "methods": None
        if (rows := data.of("mart.method_candidate", code)) is None
        else sorted(rows, key=lambda r: r["candidate_rank"]),
        "eligibility": data.of("mart.eligibility", code),
        "sources": used_sources(data),
        "columns": columns,
        "units": units,
        "joint": joint_with(data, municipality),
    }


def used_sources(data: ReportData) -> list[tuple[tuple[str, str, Any], list[str]]]:
    """Return the tables the indicators rest on, by producer, licence and the day they were received."""
    used = {str(row.get("source_id")) for row in data.indicators.values()}
    out: dict[tuple[str, str, Any], list[str]] = {}
    for key, source in data.sources.items():
        received = data.snapshots.get(key, {}).get("retrieved_at")
        if key in used and received is not None:
            told = (str(source.get("producer") or ""), str(source.get("licence") or ""), received.date())
            out.setdefault(told, []).append(str(source.get("publisher_table") or key))
    return list(out.items())


def joint_with(data: ReportData, municipality: Row) -> list[str]:
    """Return the names of the municipalities that share an application with this one."""
    unit = municipality.get("project_unit")
    others = (m for m in data.municipalities if unit and m.get("project_unit") == unit)
    return [str(m["municipality_name"]) for m in others if m["municipality_code"] != municipality["municipality_code"]]
