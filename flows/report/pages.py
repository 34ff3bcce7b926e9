"""What each page of the report shows, worked out from the tables of the mart.

One module, since the pages share their rows, sentences and drawings.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from markupsafe import Markup

from flows.report import drawings, words
from flows.report.data import Cell, ReportData, Row, grouped
from flows.report.drawings import breaks
from flows.report.words import MARKED, STATUS_LETTERS, Words, clean
from flows.store.exports import SYNTHETIC
from transforms.areas import aliases
from transforms.models.peers import MIN_WEIGHT_SHARE, PEERS
from transforms.models.wording import STATUSES, period_text, shown, unit_of
from transforms.periods import age_in_days

# Data quality: age and fate of every source, rules held and broken, deliveries, and what was revised or withheld.


DELIVERED_KINDS = ("cases", "measures", "employment", "organisation")
RECEIPT_KEYS = (
    "kind", "municipality", "municipality_code", "period", "verdict", "received_at", "rows_in", "rows_accepted",
    "rows_rejected",
)  # fmt: skip
COUNTS = ("rows_in", "rows_accepted", "rows_rejected")
HUNDRED = 100
"""Rows of deliveries are rows of persons: the report tells them by kind, in whole hundreds, and never one by one.
Fewer than a hundred, or than the threshold where that is higher, are None. Questionnaires are counted as they are, for
one is a municipality's; only where some hold more than one respondent's answers they are as rows of persons."""


def sources(
    data: ReportData, receipts_of: list[Row] | None = None, ages_of: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Row]:
    """Return one row per source with its snapshot's facts, its age as the run judged it, and its state.

    `ages_of`: see `build_report`; the state is the verdict of the run's own rules. A source the municipalities
    deliver has no snapshot in the release; its facts and its age are those of its newest receipt.
    """
    started = data.run.get("started_at")
    broken = {
        (str(row["table_name"]), str(row["rule_id"]))
        for row in data.tables.get("meta.validation", [])
        if not row["success"]
    }
    out = []
    for key, source in sorted(data.sources.items()):
        facts = data.snapshots.get(key) or _delivered(data, key, receipts_of or []) or _kept_here(data, source)
        age = (ages_of or {}).get(key, {}).get("age_days")
        late = (f"staging.{key}", "source_not_standing_still") in broken
        state = "stale" if late else "old" if (f"staging.{key}", "source_not_too_old") in broken else "ok"
        if key.startswith("delivery_") and facts and isinstance(started, datetime):
            age = age_in_days(facts["retrieved_at"], started)
            state = "old" if source.get("max_age_days") and age > source["max_age_days"] else "ok"
        state = state if facts else "missing"
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


def _delivered(data: ReportData, source_id: str, receipts_of: list[Row]) -> Row:
    """Return the facts of a source as its receipts tell them; nothing when none of its deliveries was taken."""
    kind = source_id.removeprefix("delivery_")
    taken = [row for row in receipts_of if row["kind"] == kind and row["verdict"] != "afvist" and row["received_at"]]
    if not source_id.startswith("delivery_") or not taken:
        return {}
    named = zip(("rows_in_count", "rows_loaded_count", "rows_rejected_count"), COUNTS, strict=True)
    return {
        "retrieved_at": max(datetime.fromisoformat(str(row["received_at"])) for row in taken),
        **{told: _rows_told(data, kind, [int(row[name] or 0) for row in taken]) for told, name in named},
    }


def rules(data: ReportData) -> list[Row]:
    """Return the rules, broken ones first, critical before warning."""
    rows = data.tables.get("meta.validation", [])
    return sorted(
        rows, key=lambda row: (bool(row["success"]), row["severity"] != "critical", row["table_name"], row["rule_id"])
    )


def tally(rows: list[Row]) -> list[Row]:
    """Return per severity how many rules were tried, how many hold, and how many rows they looked at."""
    parts = {severity: [row for row in rows if row["severity"] == severity] for severity in ("critical", "warning")}
    return [
        {"severity": severity, "rules": len(part), "held": sum(bool(row["success"]) for row in part),
         "scanned": sum(int(row.get("rows_scanned") or 0) for row in part)}
        for severity, part in parts.items()
    ]  # fmt: skip


def receipts(folder: Path) -> list[Row] | None:
    """Return the deliveries newest first, without file names or rows; None when there is no folder of receipts."""
    if not folder.is_dir():
        return None
    read = (_json(path) for path in folder.glob("*.json"))
    rows = [{key: content.get(key) for key in RECEIPT_KEYS} for content in read if "verdict" in content]
    return sorted(rows, key=lambda row: str(row["received_at"]), reverse=True)


def deliveries(data: ReportData, receipts_of: list[Row] | None) -> list[Row]:
    """Return how many deliveries and rows there are per kind and verdict."""
    alike = grouped(receipts_of or [], lambda row: (str(row["kind"] or "other"), str(row["verdict"])))
    return [
        {"kind": kind, "verdict": verdict, "deliveries": len(rows)}
        | {name: _rows_told(data, kind, [int(row[name] or 0) for row in rows]) for name in COUNTS}
        for (kind, verdict), rows in sorted(alike.items())
    ]


def _rows_told(data: ReportData, kind: str, rows: list[int]) -> int | None:
    """Return the sum of the deliveries' rows of a kind as it is told, by the rule of HUNDRED; None: none or few."""
    if kind == "organisation" and max(rows) <= 1:
        return sum(rows)
    step = -(-max(HUNDRED, int(data.release["suppression_threshold_count"])) // HUNDRED) * HUNDRED
    return sum(rows) // step * step or None


def withheld(data: ReportData) -> list[Row]:
    """Return per indicator how many municipalities have a withheld or missing figure in the newest period."""
    out = []
    for key, indicator in data.indicators.items():
        periods = data.periods.get(key)
        statuses = Counter(cell.status for code in data.names if (cell := data.cell(code, key)))
        counted = {status: statuses[status] for status in ("suppressed", "missing", "not_applicable")}
        if not periods:
            counted["missing"] = len(data.municipalities)
        if any(counted.values()):
            out.append({"indicator": indicator, "period": periods[-1] if periods else None, **counted})
    return out


def changes(data: ReportData) -> list[tuple[Row, int]]:
    """Return the municipalities with how many of their figures changed with this release, most first."""
    counted = Counter(str(row["municipality_code"]) for row in data.revised or [])
    found = [(m, counted[code]) for m in data.by_name if (code := str(m["municipality_code"])) in counted]
    return sorted(found, key=lambda pair: -pair[1])


def not_delivered(data: ReportData, receipts_of: list[Row] | None) -> list[tuple[str, list[Row], int]] | None:
    """Return per kind of delivery who has had none accepted, participants first, and how many have.

    None when there is no folder of receipts to judge by.
    """
    if receipts_of is None:
        return None
    taken = {(row["kind"], str(row["municipality_code"])) for row in receipts_of if row["verdict"] != "afvist"}
    out = []
    for kind in DELIVERED_KINDS:
        silent = [m for m in data.by_name if (kind, str(m["municipality_code"])) not in taken]
        silent.sort(key=lambda m: not m.get("is_participant"))
        out.append((kind, silent, len(data.municipalities) - len(silent)))
    return out


# Frozen baselines and the comparisons made with them, as `freeze` and `compare` wrote them.


UNFOLDED = ("difference_in_differences", "groups")


def baselines(folder: Path, comparisons: Path) -> list[Row]:
    """Return the frozen baselines by name, each with the newest comparison of every outcome."""
    made = [content for path in sorted(comparisons.glob("*.json")) if (content := _json(path)).get("baseline")]
    out = []
    for path in sorted(folder.glob("*/manifest.json")):
        manifest, name = _json(path), path.parent.name
        if manifest and not name.startswith("."):
            own = [read_comparison(content) for content in made if str(content["baseline"]) == name]
            newest = {told["outcome_id"]: told for told in sorted(own, key=itemgetter("later_run_id"))}
            frozen = manifest.get("frozen_at") and datetime.fromisoformat(str(manifest["frozen_at"]))
            run_id = str(manifest.get("run_id", ""))
            out.append({"name": name, "run_id": run_id, "frozen_at": frozen, "comparisons": list(newest.values())})
    return out


def read_comparison(content: Row) -> Row:
    """Return what a comparison's file says: outcome, periods, tables in reading order, and the caution to read with it.

    `tables`: name and rows of each, without the cautions that stand in the rows.
    """
    tables = {
        key: rows for key, rows in content.items()
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    }  # fmt: skip
    told = next((row for rows in tables.values() for row in rows if row.get("caution_da")), None)
    plain = [
        (key, [{k: v for k, v in row.items() if not k.startswith("caution_")} for row in rows])
        for key, rows in tables.items()
    ]
    plain.sort(key=lambda table: UNFOLDED.index(table[0]) if table[0] in UNFOLDED else len(UNFOLDED))
    told_by = ("outcome_id", "baseline_period", "later_period", "later_run_id")
    caution = told and (told["caution_da"], told.get("caution_en") or told["caution_da"])
    return {**{key: str(content.get(key, "")) for key in told_by}, "tables": plain, "caution": caution}


def _json(path: Path) -> Row:
    """Return a JSON object; an empty one for a file that holds none (a report never fails on a stray file)."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


# What a municipality answered on its organisation, for its profile.


ABOUT = ("reference_date", "respondent_role_code", "respondent_count", "value_source_code", "confidence_code")
ATTACHED = ("_value_source", "_source", "_respondent_role", "_role", "_confidence", "_status")


@dataclass(frozen=True)
class OrganisationAnswer:
    """One answer on organisation: what is told of it, and the lowest and highest where several answered apart."""

    column: str
    value: Any
    told: list[Any]
    spread: tuple[Any, Any] | None


def organisation(data: ReportData, code: str) -> tuple[Row, list[OrganisationAnswer]] | None:
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
        is_attached = any(column.endswith(end) and column.removesuffix(end) in newest for end in ATTACHED)
        if is_attached or column.endswith(("_lowest", "_highest")):
            continue
        told = [newest[column + end] for end in ATTACHED if newest.get(column + end) is not None]
        spread = newest.get(f"{base}_lowest"), newest.get(f"{base}_highest")
        apart = column.endswith("_mean") and None not in spread and spread[0] != spread[1]
        out.append(OrganisationAnswer(column, value, told, spread if apart else None))
    return about, out


TREND = {
    "danish": ("employment_rate_danish_pct", False),
    "total": ("employment_rate_non_western_pct", False),
    "women": ("employment_rate_non_western_women_pct", False),
    "nation": ("employment_rate_non_western_pct", True),
}
FIRST_INDICATORS = (
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
    years: list[float | None]


def line(data: ReportData, code: str, indicator_id: str, peer_codes: list[str]) -> Line:
    """Return an indicator's newest figure of a municipality, the country's of the same period and the peers' mean."""
    indicator = data.indicators[indicator_id]
    cell = data.cell(code, indicator_id)
    periods = data.periods.get(indicator_id, [])
    nation = data.national.get(indicator_id, {}).get(periods[-1]) if periods else None
    figure, country = cell.value if cell else None, nation.value if nation else None
    difference = None if figure is None or country is None or indicator["unit"] in NO_DIFFERENCE else figure - country
    near = (data.cell(peer, indicator_id) for peer in peer_codes)
    others = [other.value for other in near if other and other.value is not None]
    own = data.values.get(indicator_id, {}).get(code, {})
    years = [own[period].value if period in own else None for period in periods]
    return Line(indicator, cell, nation, difference, mean(others) if others else None, years)


def peers(data: ReportData, code: str) -> list[Row]:
    """Return a municipality's peers, nearest first; empty when there are none or the table is not there."""
    return sorted(data.of("mart.peer", code) or [], key=lambda row: row["peer_rank"])


def groups(data: ReportData, code: str, *, headlines: bool) -> list[tuple[Words, list[Line]]]:
    """Return the indicators by part of the mapping, the headlines or all of them."""
    near = [str(row["peer_code"]) for row in peers(data, code)]
    chosen = {key: row for key, row in data.indicators.items() if row["is_headline"] or not headlines}
    order = sorted(chosen, key=lambda key: (key not in FIRST_INDICATORS, str(chosen[key]["label_da"])))
    found = {
        label: [line(data, code, key, near) for key in order if chosen[key]["dimension"] == dimension]
        for dimension, label in words.DIMENSIONS.items()
    }
    return [(label, rows) for label, rows in found.items() if rows]


def estimates(data: ReportData, code: str) -> list[Row]:
    """Return the newest estimate per outcome of what a municipality could expect, with that one's label and unit."""
    by_period = sorted(data.of("mart.expected", code) or [], key=lambda r: str(r["period"]))
    newest = {str(row["outcome_id"]): row for row in by_period}
    told = ((row, *words.outcome(key, data.indicators)) for key, row in sorted(newest.items()))
    return [{**row, "label": label, "unit": unit} for row, label, unit in told]


def trend(data: ReportData, code: str) -> tuple[Markup, list[tuple[int, dict[str, Cell]]]] | None:
    """Return the chart of employment rates and the same figures by year; None without at least two years."""
    drawn: list[Row] = []
    by_year: dict[int, dict[str, Cell]] = {}
    for series, (indicator_id, national) in TREND.items():
        own = data.values.get(indicator_id, {}).get(code, {})
        cells = data.national.get(indicator_id, {}) if national else own
        for period in data.history.get(indicator_id, data.periods.get(indicator_id, [])):
            cell = cells.get(period)
            if cell is not None and cell.day is not None:
                drawn.append({"year": cell.day.year, "value": cell.value, "series": series})
                by_year.setdefault(cell.day.year, {})[series] = cell
    if sum(row["series"] == "total" and row["value"] is not None for row in drawn) < 2:
        return None
    return drawings.svg("trend", drawn, "trend-caption"), sorted(by_year.items())


def interval_chart(data: ReportData, code: str, outcome_id: str) -> Markup | None:
    """Return the municipality's difference beside its peers', each with its interval; None when it has none itself."""
    drawn: list[Row] = []
    for other in [code, *(str(row["peer_code"]) for row in peers(data, code))]:
        row = next((row for row in estimates(data, other) if row["outcome_id"] == outcome_id), {})
        ends = {end: row.get(f"difference_{end}") for end in ("low", "high")} | {"difference": row.get("difference")}
        if None not in ends.values():
            name, assessment = data.names.get(other, other), str(row.get("assessment"))
            drawn.append({"name": name, "own": other == code, "assessment": assessment, **ends})
    if not any(row["own"] for row in drawn):
        return None
    return drawings.svg("interval", drawn, "expected-caption")


def context(data: ReportData, municipality: Row) -> dict[str, Any]:
    """Return everything the profile template shows of one municipality."""
    code = str(municipality["municipality_code"])
    near = peers(data, code)
    found = estimates(data, code)
    industries, methods = data.of("mart.industry_match", code), data.of("mart.method_candidate", code)
    near_codes = [str(row["peer_code"]) for row in near]
    return {
        "m": municipality,
        "mapping": data.mapping.get(code, {}),
        "first": [line(data, code, key, near_codes) for key in FIRST_INDICATORS if key in data.indicators],
        "headlines": groups(data, code, headlines=True),
        "everything": groups(data, code, headlines=False),
        "peers": near if "mart.peer" in data.tables else None,
        "estimates": found if "mart.expected" in data.tables else None,
        "drawn": interval_chart(data, code, str(found[0]["outcome_id"])) if found else None,
        "trend": trend(data, code),
        "findings": data.of("mart.finding", code),
        "organisation": organisation(data, code),
        "industries": industries
        and sorted(industries, key=lambda row: (row.get("match_rank") or 999, str(row["industry_code"]))),
        "methods": methods and sorted(methods, key=lambda row: row["candidate_rank"]),
        "eligibility": data.of("mart.eligibility", code),
        "sources": used_sources(data),
        "joint": joint_with(data, municipality),
        "shares": as_expected(data, found),
        "changed": data.revised and [row for row in data.revised if row["municipality_code"] == code],
    }


def peer_conditions(data: ReportData) -> dict[str, Any]:
    """Return what the page needs to find the nearest municipalities under other weights.

    `weights`: id, label and weight of each condition that varies. `values`: municipality -> its conditions in
    standard deviations over all municipalities (population formula, as mart.peer), None where not known.
    """
    weights = []
    scaled: dict[str, list[float | None]] = {str(row["municipality_code"]): [] for row in data.municipalities}
    for row in data.tables.get("reference.peer_weights", []):
        key = str(row["indicator_id"])
        known = [values[key] for values in data.conditions.values() if key in values]
        spread = pstdev(known) if len(known) > 1 else 0.0
        if not spread:
            continue
        indicator = data.indicators.get(key)
        label = [str(indicator["label_da"]), str(indicator["label_en"])] if indicator else list(words.words(key))
        weights.append({"id": key, "label": [clean(text) for text in label], "weight": float(row["weight"])})
        for code, own in scaled.items():
            value = data.conditions.get(code, {}).get(key)
            own.append(None if value is None else round(value / spread, 6))
    return {"weights": weights, "values": scaled, "least": MIN_WEIGHT_SHARE, "peers": PEERS}


def used_sources(data: ReportData) -> list[tuple[tuple[str, str, Any], list[Words]]]:
    """Return the tables the indicators rest on, by producer, licence and the day they were received."""
    used = {str(row.get("source_id")) for row in data.indicators.values()}
    out: dict[tuple[str, str, Any], list[Words]] = {}
    for key, source in data.sources.items():
        received = data.snapshots.get(key, {}).get("retrieved_at")
        if key in used and received is not None:
            told = (str(source.get("producer") or ""), str(source.get("licence") or ""), received.date())
            table = source.get("publisher_table")
            name = (str(table), str(table)) if table else (str(source["title_da"]), str(source["title_en"]))
            out.setdefault(told, []).append(name)
    return list(out.items())


def names_of_units(data: ReportData) -> dict[str, str]:
    """Return the name of every municipality by its code, and those that applied as one by their application's."""
    units = grouped((m for m in data.municipalities if m.get("project_unit")), lambda m: str(m["project_unit"]))
    return data.names | {unit: ", ".join(str(m["municipality_name"]) for m in own) for unit, own in units.items()}


def joint_with(data: ReportData, municipality: Row) -> list[Row]:
    """Return the municipalities that share an application with this one."""
    unit = municipality.get("project_unit")
    return [m for m in data.municipalities if unit and m.get("project_unit") == unit and m is not municipality]


def as_expected(data: ReportData, found: list[Row]) -> list[tuple[Words, int, int]]:
    """Return per outcome how many municipalities are as expected, of how many that were judged, in its period."""
    counted = Counter((r["outcome_id"], r["period"], r["assessment"]) for r in data.tables.get("mart.expected", []))
    out = []
    for one in found:
        outcome_id, newest = one["outcome_id"], one["period"]
        same = {told: counted[outcome_id, newest, told] for told in ("better", "as_expected", "worse")}
        if any(same.values()):
            out.append((one["label"], same["as_expected"], sum(same.values())))
    return out


# Data the pages load as scripts, since a page opened from disk may not fetch: definitions and values.


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
            "job": list(words.words(row.get("job_definition"))),
            "type": list(words.words(row.get("period_type"))),
            "period": list(period_text(periods[-1])) if periods else None,
            "source": [clean(source.get(title) or row.get("source_id")) for title in ("title_da", "title_en")],
            "table": clean(source.get("publisher_table") or ""),
            "producer": [clean(text) for text in words.words(row.get("producer") or "")],
            "licence": [clean(text) for text in words.words(row.get("licence") or "")],
        }
    return out


def release(data: ReportData) -> dict[str, Any]:
    """Return what a figure that is taken out of a page carries along: the run, its day, and the synthetic mark."""
    started = data.run.get("started_at")
    return {
        "run": str(data.run.get("run_id") or ""),
        "day": started.date().isoformat() if isinstance(started, datetime) else None,
        "mark": str(data.release.get("data_mark") or (SYNTHETIC if data.is_synthetic else "")),
    }


def places(data: ReportData) -> list[list[str]]:
    """Return code, Danish and English name of every municipality, then the other names it is searched by."""
    known = aliases()
    return [
        [str(row["municipality_code"]), clean(row["municipality_name"]), clean(row["municipality_name_en"]),
         *known.get(str(row["municipality_code"]), [])]
        for row in data.municipalities
    ]  # fmt: skip


def ages(indicator: dict[str, Any]) -> str | None:
    """Return the ages counted, `16-64` or `60+`, or None when ages do not apply."""
    low, high = indicator.get("age_from"), indicator.get("age_to")
    return None if low is None else f"{low}+" if high is None else f"{low}-{high}"


def encoded(cell: Cell | None, decimals: int) -> float | str:
    """Return a figure with the digits shown, or the letter of why there is none (m, s, x)."""
    if cell is None or cell.value is None:
        return STATUS_LETTERS.get(cell.status if cell else "missing", "m")
    return shortest_number(cell.value, decimals)


def shortest_number(value: float, decimals: int) -> float:
    """Return a figure with the digits shown, as a script reads it: the page only has to write it out."""
    figure = float(shown(value, decimals))
    return int(figure) if figure == int(figure) else figure


def values(data: ReportData) -> dict[str, Any]:
    """Return every shown figure: per indicator the periods, and per period one array in the municipalities' order.

    `counts`: the arrays of n, each once, since many indicators share theirs; an indicator's `n` tells the place of each
    period's array.
    """
    codes = [str(row["municipality_code"]) for row in data.municipalities]
    counts: dict[tuple[float | None, ...], int] = {}
    indicators = {key: _indicator(data, key, codes, counts) for key in ordered(data)}
    return {
        "municipalities": [_municipality(row) for row in data.municipalities],
        "dimensions": {key: list(pair) for key, pair in words.DIMENSIONS.items()},
        "statuses": {STATUS_LETTERS.get(key, key): list(pair) for key, pair in STATUSES.items()}
        | {"j": list(words.NOT_JUDGED), "h": list(words.NOT_REACHED)},
        "indicators": indicators,
        "counts": [list(column) for column in counts],
        "outcomes": _outcomes(data, codes),
        "peers": {code: [str(row["peer_code"]) for row in peers(data, code)] for code in codes},
    }


def exact(data: ReportData) -> dict[str, list[int | None]]:
    """Return the newest figures in ten thousandths, as the database keeps them: what a mean of them is made of."""
    out = {}
    for key in ordered(data):
        series, newest = data.values.get(key, {}), data.periods[key][-1]
        cells = [series.get(str(row["municipality_code"]), {}).get(newest) for row in data.municipalities]
        out[key] = [None if c is None or c.value is None else int(shown(c.value, 4).scaleb(4)) for c in cells]
    return out


def ordered(data: ReportData) -> list[str]:
    """Return the indicators that have any figure, in the order of the mapping, headlines first in each part."""
    known = {key: row for key, row in data.indicators.items() if data.periods.get(key)}
    place = list(words.DIMENSIONS)
    return sorted(known, key=lambda key: (place.index(known[key]["dimension"]), not known[key]["is_headline"]))


def _municipality(row: dict[str, Any]) -> list[Any]:
    band = list(words.SIZE_BANDS.get(str(row.get("size_band")), ("", "")))
    return [row["municipality_code"], clean(row["municipality_name"]), clean(row["municipality_name_en"]),
            clean(row.get("region_name") or ""), band, bool(row.get("is_participant")),
            clean(row.get("municipality_group_da") or ""), clean(row.get("municipality_group_en") or "")]  # fmt: skip


def _indicator(
    data: ReportData, indicator_id: str, codes: list[str], counts: dict[tuple[float | None, ...], int]
) -> dict[str, Any]:
    row, periods = data.indicators[indicator_id], data.periods[indicator_id]
    unit = unit_of(row["unit"])
    series = data.values.get(indicator_id, {})
    cells = {period: [series.get(code, {}).get(period) for code in codes] for period in periods}
    found = [cell.value for cell in cells[periods[-1]] if cell and cell.value is not None]
    marked: dict[str, str] = {}
    for period, column in cells.items():
        states = {cell.status for cell in column if cell and cell.value is not None}
        if len(states) == 1 and states <= set(MARKED):
            marked[period] = states.pop()  # all of a period at once: one word instead of 98
        else:
            marked |= {f"{period}/{code}": cell.status for code, cell in zip(codes, column, strict=True)
                       if cell and cell.status in MARKED}  # fmt: skip
    people = [
        tuple(None if c is None or c.n is None else shortest_number(c.n, 0) for c in col) for col in cells.values()
    ]
    counted = any(n is not None for column in people for n in column)
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
        "days": [next((c.day.isoformat() for c in column if c and c.day), None) for column in cells.values()],
        "v": [[encoded(cell, unit.decimals) for cell in column] for column in cells.values()],
        "n": [counts.setdefault(column, len(counts)) for column in people] if counted else None,
        "compiled": bool(national),
        "nation": [encoded(national.get(period), unit.decimals) for period in periods],
        "marked": marked,
    }


def _outcomes(data: ReportData, codes: list[str]) -> dict[str, Any]:
    """Return per outcome of mart.expected (newest period) the assessment of each municipality, with n and interval."""
    out: dict[str, Any] = {}
    by_period = sorted(data.tables.get("mart.expected", []), key=lambda r: str(r["period"]))
    for outcome_id, rows in grouped(by_period, lambda row: str(row["outcome_id"])).items():
        newest = rows[-1]["period"]
        own = {str(row["municipality_code"]): row for row in rows if row["period"] == newest}
        label, unit_name = words.outcome(outcome_id, data.indicators)
        unit = unit_of(unit_name)
        out[outcome_id] = {
            "label": list(label), "gap": list(unit.difference), "unit": list(unit.level),
            "decimals": unit.decimals, "period": newest,
            "count": sum(row.get("rank_low") is not None for row in own.values()),
            "name": list(period_text(str(newest))),
            "groups": {k: list(v) for k, v in words.ASSESSMENTS.items()},
            "v": [own.get(code) and _judged(own[code], unit.decimals) for code in codes],
        }  # fmt: skip
    return out


def _judged(row: Row, decimals: int) -> list[Any]:
    """Return a row of mart.expected as a script reads it: the assessment, or the letter of why there is none, first."""
    why = "h" if words.is_not_reached(row) else STATUS_LETTERS.get(str(row.get("value_status"))) or "j"
    difference, low, high, observed, expected = (
        None if row.get(key) is None else shortest_number(row[key], decimals)
        for key in ("difference", "difference_low", "difference_high", "observed", "expected")
    )
    ranks = row.get("rank_low"), row.get("rank_high")
    return [row.get("assessment") or why, difference, low, high, row.get("n_count"), observed, expected, *ranks]
