"""Frozen baselines and the comparisons made with them, as `freeze` and `compare` wrote them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FIRST = ("difference_in_differences", "groups")
LONG = 20


@dataclass(frozen=True)
class Table:
    """One table of a comparison; a long one is folded away."""

    name: str
    rows: list[Row]

    @property
    def is_long(self) -> bool:
        """Tell whether the table is better folded away."""
        return len(self.rows) > LONG


@dataclass(frozen=True)
class Comparison:
    """One comparison of a later mapping with a baseline: outcome, periods, tables, and the caution to read with it."""

    outcome_id: str
    baseline_period: str
    later_period: str
    later_run_id: str
    is_synthetic: bool
    tables: list[Table]
    caution: tuple[str, str] | None


@dataclass(frozen=True)
class Baseline:
    """A frozen baseline with the newest comparison of each outcome."""

    name: str
    run_id: str
    frozen_at: datetime | None
    comparisons: list[Comparison] = field(default_factory=list)


def baselines(folder: Path | None, comparisons: Path | None) -> list[Baseline]:
    """Return the frozen baselines by name; empty when none is frozen."""
    if folder is None or not folder.is_dir():
        return []
    made: dict[str, dict[str, Comparison]] = {}
    for path in sorted(comparisons.glob("*.json")) if comparisons and comparisons.is_dir() else []:
        content = _json(path)
        if content and content.get("baseline"):
            found = made.setdefault(str(content["baseline"]), {})
            told = read_comparison(content)
            if told.outcome_id not in found or found[told.outcome_id].later_run_id <= told.later_run_id:
                found[told.outcome_id] = told
    out = []
    for path in sorted(folder.glob("*/manifest.json")):
        manifest = _json(path)
        if manifest and not path.parent.name.startswith("."):
            frozen = manifest.get("frozen_at")
            day = datetime.fromisoformat(str(frozen)) if frozen else None
            name = path.parent.name
            out.append(Baseline(name, str(manifest.get("run_id", "")), day, list(made.get(name, {}).values())))
    return out


def read_comparison(content: Row) -> Comparison:
    """Return what a comparison's file says; its tables in reading order, cautions taken out of the rows."""
    caution: tuple[str, str] | None = None
    tables = []
    for key, value in content.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            told = next((row for row in value if row.get("caution_da")), None)
            if told is not None and caution is None:
                caution = str(told["caution_da"]), str(told.get("caution_en") or told["caution_da"])
            tables.append(Table(key, [{k: v for k, v in row.items() if not k.startswith("caution_")} for row in value]))
    tables.sort(key=lambda table: (table.name not in FIRST, FIRST.index(table.name) if table.name in FIRST else 0))
    return Comparison(
        str(content.get("outcome_id", "")),
        str(content.get("baseline_period", "")),
        str(content.get("later_period", "")),
        str(content.get("later_run_id", "")),
        bool(content.get("is_synthetic")),
        tables,
        caution,
    )


def _json(path: Path) -> Row | None:
    """Return a JSON object, or None for a file that holds none (a report never fails on a stray file)."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
