"""Data the pages load as scripts, since a page opened from disk may not fetch: definitions and values."""

from __future__ import annotations

import json
from typing import Any

from flows.report.data import Cell, ReportData
from flows.report.labels import ASSESSMENTS, DIMENSIONS, SIZE_BANDS, outcome, words
from flows.report.markup import clean
from flows.report.shading import breaks
from flows.report.units import STATUSES, period_text, unit_of

STATUS_LETTERS = {"suppressed": "s", "missing": "m", "not_applicable": "x"}
MARKED = ("provisional", "estimated")


def script(name: str, value: Any) -> str:
    """Return a script that sets `window.<name>`; safe whatever text the data hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f"window.{name}={safe};\n"


def definitions(data: ReportData) -> dict[str, Any]:
    """Return what the page tells of each indicator when its name is pointed at."""
    out = {}
    for indicator_id, row in data.indicators.items():
        source = data.sources.get(str(row.get("source_id")), {})
        periods = data.periods.get(indicator_id)
        out[indicator_id] = {
            "label": [clean(row["label_da"]), clean(row["label_en"])],
            "text": [clean(row["definition_da"]), clean(row["definition_en"])],
            "ages": ages(row),
            "job": list(words(row.get("job_definition"))),
            "type": list(words(row.get("period_type"))),
            "period": list(period_text(periods[-1])) if periods else None,
            "source": [
                clean(source.get("title_da") or row.get("source_id")),
                clean(source.get("title_en") or row.get("source_id")),
            ],
            "table": clean(source.get("publisher_table") or ""),
            "producer": clean(row.get("producer") or ""),
            "licence": clean(row.get("licence") or ""),
        }
    return out


def ages(indicator: dict[str, Any]) -> str | None:
    """Return the ages counted, `16-64` or `60+`, or None when ages do not apply."""
    low, high = indicator.get("age_from"), indicator.get("age_to")
    if low is None:
        return None
    return f"{low}-{high}" if high is not None else f"{low}+"


def encoded(cell: Cell | None, decimals: int) -> float | str:
    """Return a figure rounded one step finer than shown, or the letter of why there is none (m, s, x)."""
    if cell is None or cell.value is None:
        return STATUS_LETTERS.get(cell.status if cell else "missing", "m")
    value = round(cell.value, decimals + 1)
    return int(value) if value == int(value) else value


def values(data: ReportData) -> dict[str, Any]:
    """Return every shown figure: per indicator the periods, and per period one array in the municipalities' order."""
    codes = [str(row["municipality_code"]) for row in data.municipalities]
    return {
        "municipalities": [_municipality(row) for row in data.municipalities],
        "dimensions": {key: list(pair) for key, pair in DIMENSIONS.items()},
        "statuses": {STATUS_LETTERS.get(key, key): list(pair) for key, pair in STATUSES.items()},
        "indicators": {key: _indicator(data, key, codes) for key in ordered(data)},
        "outcomes": _outcomes(data, codes),
    }


def ordered(data: ReportData) -> list[str]:
    """Return the indicators that have any figure, in the order of the mapping, headlines first in each part."""
    place = list(DIMENSIONS)
    known = [key for key in data.indicators if data.periods.get(key)]
    return sorted(
        known, key=lambda key: (place.index(data.indicators[key]["dimension"]), not data.indicators[key]["is_headline"])
    )


def _municipality(row: dict[str, Any]) -> list[Any]:
    band = list(SIZE_BANDS.get(str(row.get("size_band")), ("", "")))
    return [row["municipality_code"], clean(row["municipality_name"]), clean(row["municipality_name_en"]),
            clean(row.get("region_name") or ""), band, bool(row.get("is_participant"))]  # fmt: skip


def _indicator(data: ReportData, indicator_id: str, codes: list[str]) -> dict[str, Any]:
    row, periods = data.indicators[indicator_id], data.periods[indicator_id]
    unit = unit_of(row["unit"])
    series = data.values.get(indicator_id, {})
    cells = {period: [series.get(code, {}).get(period) for code in codes] for period in periods}
    found = [cell.value for cell in cells[periods[-1]] if cell and cell.value is not None]
    marked = {
        f"{period}/{code}": cell.status
        for period, column in cells.items()
        for code, cell in zip(codes, column, strict=True)
        if cell and cell.status in MARKED
    }
    days = {period: next((c.day.isoformat() for c in column if c and c.day), None) for period, column in cells.items()}
    counted = any(cell and cell.n is not None for column in cells.values() for cell in column)
    national = data.national.get(indicator_id, {})
    return {
        "dimension": row["dimension"],
        "headline": bool(row["is_headline"]),
        "decimals": unit.decimals,
        "unit": list(unit.level),
        "gap": list(unit.difference),
        "breaks": breaks(found, unit.decimals),
        "periods": periods,
        "names": [list(period_text(period)) for period in periods],
        "days": [days[period] for period in periods],
        "v": [[encoded(cell, unit.decimals) for cell in cells[period]] for period in periods],
        "n": [[None if c is None or c.n is None else round(c.n) for c in cells[period]] for period in periods]
        if counted
        else None,
        "nation": [encoded(national.get(period), unit.decimals) for period in periods],
        "marked": marked,
    }


def _outcomes(data: ReportData, codes: list[str]) -> dict[str, Any]:
    """Return per outcome of mart.expected (newest period) the assessment of each municipality, with n and interval."""
    out: dict[str, Any] = {}
    for row in sorted(data.tables.get("mart.expected", []), key=lambda r: str(r["period"])):
        outcome_id, code = str(row["outcome_id"]), str(row["municipality_code"])
        if code not in codes:
            continue
        label, unit = outcome(outcome_id, data.indicators)
        told = out.get(outcome_id)
        if told is None or told["period"] != row["period"]:
            told = out[outcome_id] = {
                "label": list(label), "gap": list(unit_of(unit).difference), "decimals": 1, "period": row["period"],
                "name": list(period_text(str(row["period"]))), "groups": {k: list(v) for k, v in ASSESSMENTS.items()},
                "v": [None] * len(codes), "why": {},
            }  # fmt: skip
        numbers = [row.get(key) for key in ("difference", "difference_low", "difference_high")]
        shown = [None if number is None else round(float(number), 2) for number in numbers]
        letter = STATUS_LETTERS.get(str(row.get("value_status")))
        told["v"][codes.index(code)] = [row.get("assessment") or letter, *shown, row.get("n_count")]
    return out
