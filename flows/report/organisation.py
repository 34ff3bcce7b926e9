"""What a municipality answered on its organisation, for its profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flows.report.data import ReportData, Row

ABOUT = ("reference_date", "respondent_role_code", "respondent_count", "value_source_code", "confidence_code")
ATTACHED = ("_value_source", "_source", "_respondent_role", "_role", "_confidence", "_status")


@dataclass(frozen=True)
class Answer:
    """One answer on organisation: what is told of it, and the lowest and highest where several answered apart."""

    column: str
    value: Any
    told: list[Any]
    spread: tuple[Any, Any] | None


def organisation(data: ReportData, code: str) -> tuple[Row, list[Answer]] | None:
    """Return who answered on organisation and when, and the newest answers; None without the table.

    A mean with its lowest and highest (several who rate the same) is one answer.
    """
    rows = data.of("mart.organisation", code)
    if rows is None:
        return None
    if not rows:
        return {}, []
    newest = max(rows, key=lambda row: str(row.get("reference_date") or ""))
    about = {key: newest[key] for key in ABOUT if newest.get(key) is not None}
    out = []
    for column, value in newest.items():
        base = column.removesuffix("_mean")
        if column in (*ABOUT, "municipality_code") or column.startswith("_"):
            continue
        if (
            any(_base(column, end) in newest for end in ATTACHED)
            or _base(column, "_lowest")
            or _base(column, "_highest")
        ):
            continue
        told = [newest[column + end] for end in ATTACHED if newest.get(column + end) is not None]
        spread = newest.get(f"{base}_lowest"), newest.get(f"{base}_highest")
        apart = column.endswith("_mean") and None not in spread and spread[0] != spread[1]
        out.append(Answer(column, value, told, spread if apart else None))
    return about, out


def _base(column: str, ending: str) -> str | None:
    return column.removesuffix(ending) if column.endswith(ending) else None
