"""Data quality: age and fate of every source, rules held and broken, deliveries, and what was revised or withheld."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flows.report.data import ReportData, Row, plain
from transforms.warehouse import Warehouse

RECEIPT_KEYS = ("kind", "municipality", "period", "verdict", "received_at", "rows_in", "rows_accepted", "rows_rejected")
COUNTS = ("rows_in", "rows_accepted", "rows_rejected")
MOST_CHANGES = 200


def sources(data: ReportData, receipts_of: list[Row] | None = None) -> list[Row]:
    """Return one row per source with its snapshot's facts, its age on the day of the run, and its state.

    A source the municipalities deliver has no snapshot in the release; its facts are those of its receipts.
    """
    started = data.run.get("started_at")
    out = []
    for key, source in sorted(data.sources.items()):
        facts = data.snapshots.get(key) or _delivered(key, receipts_of or []) or _kept_here(data, source)
        received = facts.get("retrieved_at")
        age = None
        if isinstance(started, datetime) and isinstance(received, datetime):
            age = max((started.date() - received.date()).days, 0)
        limit = source.get("max_age_days")
        state = "missing" if not facts else "old" if age is not None and limit and age > limit else "ok"
        known = {name: value for name, value in facts.items() if value is not None}
        out.append({**source, "retrieved_at": None, **known, "age_days": age, "state": state})
    return sorted(out, key=lambda row: (row["state"] == "missing", row["source_id"]))


def _kept_here(data: ReportData, source: Row) -> Row:
    """Return the facts of a table the project keeps itself: the figures it gave to this build, if any."""
    own = [key for key, indicator in data.indicators.items() if indicator["source_id"] == source["source_id"]]
    cells = [cell for key in own for series in data.values.get(key, {}).values() for cell in series.values()]
    known = sum(cell.value is not None for cell in cells)
    if source["connector"] != "reference" or not known:
        return {}
    return {"rows_in_count": known, "rows_loaded_count": known, "rows_rejected_count": 0}


def _delivered(source_id: str, receipts_of: list[Row]) -> Row:
    """Return the facts of a source as its receipts tell them; nothing when none of its deliveries was taken."""
    kind = source_id.removeprefix("delivery_")
    taken = [row for row in receipts_of if row["kind"] == kind and row["verdict"] != "afvist" and row["received_at"]]
    if not source_id.startswith("delivery_") or not taken:
        return {}
    return {
        "retrieved_at": max(datetime.fromisoformat(str(row["received_at"])) for row in taken),
        "rows_in_count": sum(int(row["rows_in"] or 0) for row in taken),
        "rows_loaded_count": sum(int(row["rows_accepted"] or 0) for row in taken),
        "rows_rejected_count": sum(int(row["rows_rejected"] or 0) for row in taken),
    }


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


def deliveries(receipts_of: list[Row] | None) -> list[Row]:
    """Return how many deliveries and rows there are per kind and verdict."""
    summed: dict[tuple[str, str], Row] = {}
    for receipt in receipts_of or []:
        key = str(receipt["kind"] or "other"), str(receipt["verdict"])
        row = summed.setdefault(key, {"kind": key[0], "verdict": key[1], "deliveries": 0, **dict.fromkeys(COUNTS, 0)})
        row["deliveries"] += 1
        for name in COUNTS:
            row[name] += int(receipt[name] or 0)
    return [row for _, row in sorted(summed.items())]


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
