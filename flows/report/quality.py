"""Data quality: age and fate of every source, rules held and broken, deliveries, and what was revised or withheld."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flows.report.data import ReportData, Row, plain
from transforms.warehouse import Warehouse

RECEIPT_KEYS = ("kind", "municipality", "period", "verdict", "received_at", "rows_in", "rows_accepted", "rows_rejected")
MOST_CHANGES = 200


def sources(data: ReportData) -> list[Row]:
    """Return one row per source with its snapshot's facts, its age on the day of the run, and its state."""
    started = data.run.get("started_at")
    quarantined: dict[str, int] = {}
    for row in data.tables.get("quarantine.row", []):
        quarantined[str(row.get("source_id"))] = quarantined.get(str(row.get("source_id")), 0) + 1
    out = []
    for key, source in sorted(data.sources.items()):
        snapshot = data.snapshots.get(key, {})
        received = snapshot.get("retrieved_at")
        age = None
        if isinstance(started, datetime) and isinstance(received, datetime):
            age = max((started.date() - received.date()).days, 0)
        limit = source.get("max_age_days")
        state = "missing" if not snapshot else "old" if age is not None and limit and age > limit else "ok"
        out.append({**source, **{k: v for k, v in snapshot.items() if v is not None}, "age_days": age, "state": state,
                    "quarantined": quarantined.get(key, 0)})  # fmt: skip
    return sorted(out, key=lambda row: (row["state"] == "missing", row["source_id"]))


def rules(data: ReportData) -> list[Row]:
    """Return the rules, broken ones first, critical before warning."""
    rows = data.tables.get("meta.validation", [])
    return sorted(
        rows, key=lambda row: (bool(row["success"]), row["severity"] != "critical", row["table_name"], row["rule_id"])
    )


def tally(rows: list[Row]) -> list[Row]:
    """Return per severity how many rules were tried, how many hold, and how many rows they looked at."""
    out = []
    for severity in ("critical", "warning"):
        part = [row for row in rows if row["severity"] == severity]
        out.append({"severity": severity, "rules": len(part), "held": sum(bool(row["success"]) for row in part),
                    "scanned": sum(int(row.get("rows_scanned") or 0) for row in part)})  # fmt: skip
    return out


def receipts(folder: Path | None) -> list[Row] | None:
    """Return the deliveries newest first, without file names or rows; None when there is no folder of receipts."""
    if folder is None or not folder.is_dir():
        return None
    rows = []
    for path in folder.glob("*.json"):
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = {}
        if "verdict" in content:
            rows.append({key: content.get(key) for key in RECEIPT_KEYS})
    return sorted(rows, key=lambda row: str(row["received_at"]), reverse=True)


def withheld(data: ReportData) -> list[Row]:
    """Return per indicator how many municipalities have a withheld or missing figure in the newest period."""
    out = []
    for key, indicator in data.indicators.items():
        periods = data.periods.get(key)
        series = data.values.get(key, {})
        statuses = [cells[periods[-1]].status for cells in series.values() if periods and periods[-1] in cells]
        counted = {status: statuses.count(status) for status in ("suppressed", "missing", "not_applicable")}
        if not periods:
            counted["missing"] = len(data.municipalities)
        if any(counted.values()):
            out.append({"indicator": indicator, "period": periods[-1] if periods else None, **counted})
    return out


def revisions(database: Path, previous: Path | None) -> tuple[list[Row], int] | None:
    """Return figures that changed since an earlier build (the largest relative changes first), and how many did.

    None when there is no earlier build to look at.
    """
    if previous is None or not previous.exists() or previous.resolve() == database.resolve():
        return None
    with Warehouse.open() as warehouse:
        warehouse.attach(database, "now_")
        warehouse.attach(previous, "then_")
        changed = """
            FROM now_.mart.indicator_value a JOIN then_.mart.indicator_value b
            USING (municipality_code, indicator_id, period)
            WHERE a.value IS DISTINCT FROM b.value OR a.value_status <> b.value_status
        """
        total = int(warehouse.scalar(f"SELECT count(*) {changed}"))
        rows = warehouse.rows(
            f"""SELECT municipality_code, indicator_id, period, b.value, b.value_status, a.value, a.value_status
            {changed}
            ORDER BY abs(a.value - b.value) / nullif(abs(b.value), 0) DESC NULLS FIRST, 1, 2, 3 LIMIT {MOST_CHANGES}"""
        )
    names = ("municipality_code", "indicator_id", "period", "before", "status_before", "after", "status_after")
    return [dict(zip(names, map(plain, row), strict=True)) for row in rows], total


def newest_day(data: ReportData) -> date | None:
    """Return the newest day any shown figure refers to."""
    days = [
        cell.day
        for series in data.values.values()
        for cells in series.values()
        for cell in cells.values()
        if cell.day and cell.is_newest
    ]
    return max(days, default=None)
