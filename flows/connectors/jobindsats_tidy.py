"""Any answer of Jobindsats as one tidy CSV: `area_code;period;<dimensions>;measure_id;value;status`."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flows.connectors.jobindsats import Query, query_of
from flows.connectors.jobindsats_answers import Answer, read_answer
from flows.connectors.jobindsats_codes import coded, coder_of
from flows.connectors.jobindsats_periods import parse_period
from transforms.areas import area_code, areas_at, suggest
from transforms.errors import DataRefused
from transforms.sources import Source

AREA_HEADINGS = ("område", "area", "omrade")
PERIOD_HEADINGS = ("periode", "period")
# Names of Jobindsats that are no area of the allow-list by themselves.
AREA_NAMES = {"uoplyst område": "998", "uoplyst kommune": "998", "udlandet": "950"}
_NUMBER = re.compile(r"-?\d+([.,]\d+)?")
_THOUSANDS = re.compile(r"-?\d{1,3}(\.\d{3})+(,\d+)?")


@dataclass(frozen=True)
class Tidied:
    """Counts of one tidying: answer rows in; CSV rows out, of them suppressed, and those added as missing."""

    rows_in: int
    rows_out: int
    suppressed: int
    missing: int


def tidy(path: Path, source: Source, out: Path) -> Tidied:
    """Write the answer in `path` as tidy CSV (UTF-8, LF, codes, decimal point) to `out`, sorted.

    Status: observed, zero, suppressed (null, or a mark), missing (no row for a municipality in a period where others
    have one). Raises DataRefused for an unknown area, period, column or number, a text without a code in the code list
    of its dimension, and a cell given twice.
    """
    query, answer = query_of(source), read_answer(path)
    long = _long(answer, query, path.name)
    coders = [coder_of(dimension) for dimension in query.dimensions]
    cells: dict[tuple[str, ...], tuple[str, str]] = {}
    for number, (area, period, dimensions, measure, text) in enumerate(long, start=1):
        kept = coded(coders, dimensions, path.name, number)
        key = (_area(area, path.name, number), _period(period, path.name, number), *kept, measure)
        if key in cells:
            raise DataRefused(f"{path.name}: {'; '.join(key)} is given twice; ask for one value per cell")
        cells[key] = _value(text, path.name, number)
    missing = _absent(cells) if query.all_municipalities else []
    columns = [dimension.column for dimension in query.dimensions]
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(["area_code", "period", *columns, "measure_id", "value", "status"])
        rows = [(*key, *value) for key, value in cells.items()] + [(*key, "", "missing") for key in missing]
        writer.writerows(sorted(rows))
    suppressed = sum(status == "suppressed" for _, status in cells.values())
    return Tidied(len(answer.rows), len(cells) + len(missing), suppressed, len(missing))


Cell = tuple[str, str, tuple[str, ...], str, str | None]


def _long(answer: Answer, query: Query, name: str) -> list[Cell]:
    """Return one entry per value: area, period, dimension texts, measure id, value text."""
    keys = [_key(heading) for heading in answer.headings]
    if keys[-1] == "værdi":
        return _from_export(answer, query, name)
    roles: dict[int, str] = {}
    known = {_key(text): ("measure", measure.id) for measure in query.measures for text in measure.headings}
    known |= {_key(text): ("dimension", each.column) for each in query.dimensions for text in each.headings}
    known |= {text: ("area", "") for text in AREA_HEADINGS} | {text: ("period", "") for text in PERIOD_HEADINGS}
    found: dict[tuple[str, str], int] = {}
    for number, key in enumerate(keys):
        if key not in known:
            raise DataRefused(
                f"{name}: the column {answer.headings[number]!r} is not known; "
                "has the publisher renamed it? add it under `headings:` of the source"
            )
        if found.setdefault(known[key], number) != number:
            raise DataRefused(f"{name}: two columns are {answer.headings[number]!r}")
        roles[number] = known[key][0]
    for wanted in set(known.values()) - set(found):
        raise DataRefused(
            f"{name}: no column for {' '.join(wanted).strip()}; the answer has {', '.join(answer.headings)}"
        )
    area, period = found["area", ""], found["period", ""]
    dimensions = [found["dimension", each.column] for each in query.dimensions]
    measures = [(measure.id, found["measure", measure.id]) for measure in query.measures]
    return [
        (row[area] or "", row[period] or "", tuple(row[n] or "" for n in dimensions), measure, row[column])
        for row in answer.rows
        for measure, column in measures
    ]


def _from_export(answer: Answer, query: Query, name: str) -> list[Cell]:
    """Return the entries of an Excel export, whose further axes are told by their texts."""
    names = {_key(text): measure.id for measure in query.measures for text in measure.headings}
    axes = range(2, len(answer.headings) - 1)
    texts = {n: {row[n] or "" for row in answer.rows} for n in axes}
    measures = [n for n in axes if {_key(text) for text in texts[n]} <= set(names)]
    if len(measures) != 1:
        known = ", ".join(measure.headings[0] for measure in query.measures)
        raise DataRefused(f"{name}: {len(measures)} axes hold the measures of the source ({known}); export with one")
    others = [n for n in axes if n != measures[0]]
    if len(others) != len(query.dimensions):
        raise DataRefused(
            f"{name}: {len(others)} axes beside period, area and measure for {len(query.dimensions)} dimensions of the "
            "source; export the same dimensions"
        )
    return [
        (row[1] or "", row[0] or "", tuple(row[n] or "" for n in others), names[_key(row[measures[0]] or "")], row[-1])
        for row in answer.rows
    ]


def _key(heading: str) -> str:
    """Return a heading without case, surplus space and the `Gruppe: ` version 2 puts in front."""
    return " ".join(heading.split()).casefold().removeprefix("gruppe: ")


def _area(text: str, name: str, number: int) -> str:
    code = _area_code(text)
    if code is None:
        near = suggest(text)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise DataRefused(f"{name}: value {number}: area {text!r} is not known{hint}; add it to area_aliases.csv")
    return code


@lru_cache(maxsize=10_000)
def _area_code(text: str) -> str | None:
    return area_code(text) or AREA_NAMES.get(" ".join(text.split()).casefold())


def _period(text: str, name: str, number: int) -> str:
    try:
        return parse_period(text)
    except DataRefused as refusal:
        raise DataRefused(f"{name}: value {number}: {refusal}") from None


def _value(text: str | None, name: str, number: int) -> tuple[str, str]:
    """Return (value with decimal point, status)."""
    plain = "" if text is None else text.replace("\u00a0", "").replace(" ", "")
    if plain in ("", ".", "..", "*"):
        return "", "suppressed"
    if plain == "-":
        return "0", "zero"
    if _THOUSANDS.fullmatch(plain):
        plain = plain.replace(".", "")
    if not _NUMBER.fullmatch(plain):
        raise DataRefused(f"{name}: value {number}: {text!r} is not a number; tell the data team")
    point = plain.replace(",", ".")
    return point, "zero" if float(point) == 0 else "observed"


def _absent(cells: Mapping[tuple[str, ...], tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the cells of the 98 municipalities that have no row although others have in the same period."""
    present = {key[0] for key in cells}
    municipalities = [area.code for area in areas_at(["municipality"])]
    if not present & set(municipalities):
        return []
    patterns = {key[1:] for key in cells}
    return [(code, *rest) for rest in patterns for code in municipalities if (code, *rest) not in cells]
