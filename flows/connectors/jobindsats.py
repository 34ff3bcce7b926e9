"""Jobindsats (STAR): asks the API in version 3 or 2 and keeps the answer as received.

Protocol: version 3, https://www.jobindsats.dk/information/om-api/brugervejledning-til-version-3/; version 2, «API
Eksempler» (4 March 2022). The token goes into a header and nowhere else.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from flows.connectors.http import AnsweredError, Patience, open_client, stream_to_file
from transforms.areas import area_code, areas_at, suggest
from transforms.catalogue import JobindsatsDimension, Query, Source, load_codelists, query_of
from transforms.errors import DataRefused, UsageError
from transforms.periods import is_period, parse_period

# Excel exports made by hand on jobindsats.dk: moving headings, group texts given once, footers.
#
# A1 holds the path of the measure. Then come headings over the columns (period, area, measure, industry … in any
# order) and stubs beside the rows; both may give a text once for a whole group. Blank rows end the table.


MARKS = {".", "..", "-", ""}
FOOTERS = ("kilde:", "anm.:", "note:")
AREA, PERIOD, MEASURE = "Område", "Periode", "Måling"


def read_export(content: bytes, name: str) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    """Return (headings, rows), long: Periode, Område, Måling, then one column per further axis, and Værdi.

    Further axes have no name in the file and are called «Akse 1», «Akse 2», … from left to right, stubs first.
    Raises DataRefused when the sheet is no such export.
    """
    grid = _grid(content, name)
    first = next((n for n, row in enumerate(grid) if n and row[0]), None)
    if first is None or first < 2:
        raise DataRefused(f"{name}: not an export from jobindsats.dk (no rows under the headings)")
    last = next((n for n in range(first, len(grid)) if _ends(grid[n])), len(grid))
    heads, body = grid[1:first], grid[first:last]
    stub_width = next((n for n in range(len(grid[0])) if any(row[n] for row in heads)), 0)
    if stub_width == 0:
        raise DataRefused(f"{name}: not an export from jobindsats.dk (no headings over the columns)")
    stubs = [_filled([row[n] for row in body]) for n in range(stub_width)]
    columns = range(stub_width, len(grid[0]))
    headings = [_filled([row[n] for n in columns]) for row in heads if any(row)]
    axes = [*stubs, *headings]
    kinds = [_kind(axis) for axis in axes]
    for wanted in (PERIOD, AREA):
        if kinds.count(wanted) != 1:
            raise DataRefused(f"{name}: {kinds.count(wanted)} axes look like {wanted}; export with exactly one")
    further = [n for n, kind in enumerate(kinds) if kind == ""]
    order = [kinds.index(PERIOD), kinds.index(AREA), *further]
    rows: list[tuple[str | None, ...]] = []
    for row_number, row in enumerate(body):
        for column_number, column in enumerate(columns):
            at = [axis[row_number] if n < stub_width else axis[column_number] for n, axis in enumerate(axes)]
            rows.append((*(at[n] for n in order), row[column]))
    # Which further axis holds the measures is settled by who knows their names.
    names = [PERIOD, AREA, *(f"Akse {n}" for n in range(1, len(further) + 1)), "Værdi"]
    return tuple(names), rows


def _grid(content: bytes, name: str) -> list[list[str]]:
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        cells = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, IndexError, ValueError, OSError):
        raise DataRefused(f"{name}: a damaged workbook; export it again") from None
    return [[_cell_text(cell) for cell in row] for row in cells]


def _cell_text(cell: Any) -> str:
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell).replace(".", ",")
    return str(cell).strip()


def _ends(row: Sequence[str]) -> bool:
    return not any(row) or row[0].lower().startswith(FOOTERS)


def _filled(texts: Sequence[str]) -> list[str]:
    """Return texts with each gap filled from before: a group's text may stand at its first member only."""
    filled: list[str] = []
    for text in texts:
        filled.append(text or (filled[-1] if filled else ""))
    return filled


def _kind(axis: Sequence[str]) -> str:
    values = set(axis) - {""}
    if values and all(is_period(value) for value in values):
        return PERIOD
    return AREA if values and all(area_code(value) for value in values) else ""


# Answers of Jobindsats, in every shape it has used, as headings and rows of texts.


BOM = "\ufeff"
# A BOM encoded as UTF-8, read as Windows-1252 and encoded again.
DOUBLE_BOM = "ï»¿"


@dataclass(frozen=True)
class Answer:
    """A table of texts. None is a null: suppressed. Every row is as long as `headings`."""

    headings: tuple[str, ...]
    rows: list[tuple[str | None, ...]]


def read_answer(path: Path) -> Answer:
    """Return what a file holds: JSON of version 3 or 2, CSV of version 2, or an Excel export.

    Raises DataRefused naming the file when it is none of these.
    """
    content = path.read_bytes()
    if content.startswith(b"PK\x03\x04"):
        return Answer(*read_export(content, path.name))
    looks_like_json = _decoded(content[:4096]).lstrip().startswith(("{", "["))
    return read_json(content, path.name) if looks_like_json else read_csv(content, path.name)


def read_json(content: bytes, name: str) -> Answer:
    """Return a JSON answer of either version as headings and rows; DataRefused when it is neither."""
    try:
        data = json.loads(_decoded(content))
    except ValueError:
        raise DataRefused(f"{name}: not JSON; fetch it again") from None
    if isinstance(data, list) and data and isinstance(data[0], dict):
        data = data[0]
    if not isinstance(data, dict):
        raise DataRefused(f"{name}: neither an answer of version 3 (columns, rows) nor of version 2 (Variables, Data)")
    if "cause" in data:
        raise DataRefused(f"{name}: Jobindsats refused the question: {data['cause']}")
    try:
        if "columns" in data:
            headings, rows = [str(each) for each in data["columns"]], data["rows"]
        else:
            headings, rows = [str(each["Label"]) for each in data["Variables"]], data["Data"]
        table = [tuple(_cell(cell) for cell in row) for row in rows]
    except (KeyError, TypeError):
        raise DataRefused(
            f"{name}: neither an answer of version 3 (columns, rows) nor of version 2 (Variables, Data)"
        ) from None
    for number, row in enumerate(table, start=1):
        if len(row) != len(headings):
            raise DataRefused(f"{name}: row {number} has {len(row)} cells for {len(headings)} columns")
    return Answer(tuple(headings), table)


def read_csv(content: bytes, name: str) -> Answer:
    """Return a CSV answer of version 2 (`;`, UTF-8 or Windows-1252); DataRefused when its rows differ in width."""
    rows = list(csv.reader(io.StringIO(_decoded(content), newline=""), delimiter=";"))
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows or len(rows[0]) < 3:
        raise DataRefused(f"{name}: not a table of Jobindsats (`;` between the columns)")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise DataRefused(f"{name}: line {number} has {len(row)} cells for {len(rows[0])} columns")
    return Answer(tuple(rows[0]), [tuple(cell.strip() for cell in row) for row in rows[1:]])


def _cell(cell: Any) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        raise TypeError
    # In texts a comma is the decimal sign and a point parts thousands; numbers are made to follow.
    return repr(cell).replace(".", ",") if isinstance(cell, float) else str(cell).strip()


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    while text.startswith((BOM, DOUBLE_BOM)):
        text = text.removeprefix(BOM).removeprefix(DOUBLE_BOM)
    return text


Files = dict[str, tuple[Path, str]]


def connect(
    base_url: str, token: SecretStr | None, *, contact: str = "", transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """Return a client for Jobindsats; UsageError without a token. Version 2 takes the bare token, 3 a bearer."""
    if token is None:
        raise UsageError("Jobindsats needs a token: set KOMMUNEKORT_JOBINDSATS_TOKEN (ask STAR for one)")
    secret = token.get_secret_value()
    header = secret if version_of(base_url) == 2 else f"Bearer {secret}"
    headers = {"Authorization": header, "Accept": "application/json"}
    return open_client(base_url, contact=contact, headers=headers, transport=transport)


def version_of(base_url: str) -> int:
    """Return the API version an address ends in; UsageError when it is neither 2 nor 3."""
    match = re.search(r"/v([23])/?$", base_url)
    if match is None:
        raise UsageError(f"{base_url}: the address of Jobindsats must end in /v3 or /v2")
    return int(match[1])


def parameters(query: Query, version: int) -> tuple[str, dict[str, str]]:
    """Return path and parameters that ask for the latest periods of a table."""
    if version == 3:
        hierarchies = {f"hierarchy.{name}": value for name, value in query.hierarchies.items()}
        period = {f"period.{query.period_kind}": f"latest:{query.latest}"}
        return f"data/{query.table}", {"mgroup.*": "*", **period, **hierarchies, "format": "json"}
    period_text = f"l({query.period_kind.lower()}:{query.latest})"
    return f"data/{query.table}/json", {"period": period_text, "area": "*", **query.selections}


def fetch(
    source: Source, client: httpx.Client, folder: Path, *, patience: Patience | None = None
) -> tuple[Files, Mapping[str, Any]]:
    """Ask for a source's table and return (files, query) as the snapshot store takes them.

    Raises DataRefused with the publisher's own reason when the question is refused (422), and when the answer is
    no table.
    """
    query, version = query_of(source), version_of(str(client.base_url).rstrip("/"))
    path, asked = parameters(query, version)
    target = folder / f"{source.id}.json"
    try:
        stream_to_file(client, "GET", path, target, params=asked, patience=patience)
    except AnsweredError as error:
        raise _explained(source, error) from None
    read_json(target.read_bytes(), target.name)  # an answer that is no table is not worth a snapshot
    return {target.name: (target, f"jobindsats-v{version}")}, {"version": version, "path": path, **asked}


def _explained(source: Source, error: AnsweredError) -> DataRefused:
    """Return the refusal with the publisher's `cause`; a refused token says what to do."""
    if error.status in (401, 403):
        return DataRefused(f"{source.id}: Jobindsats refuses the token ({error.status}); renew it with STAR")
    try:
        said = json.loads(error.body)
        cause, request_id = said["cause"], said.get("request_id", "not given")
    except (ValueError, KeyError, TypeError, AttributeError):
        return DataRefused(f"{source.id}: {error}")
    return DataRefused(
        f"{source.id}: Jobindsats answered {error.status}: {cause} (request {request_id}); "
        f"correct flows/sources/{source.id}.yml"
    )


# The texts of a Jobindsats dimension as codes of one of the project's code lists.


TOTAL = "TOT"
"""Our code for the sum over a dimension."""

Coder = Callable[[str, str, int], str]


def coder_of(dimension: JobindsatsDimension) -> Coder:
    """Return a function (text, file, number of the value) -> what is kept of it.

    Without a code list that is the text itself. With one it is the code; DataRefused names file, value and text when
    there is none, so that no row is lost unseen. Raises UsageError for a code list the project does not have.
    """
    if dimension.codelist is None:
        return lambda text, name, number: text
    known = _codes(dimension.codelist) | {_folded(text): TOTAL for text in dimension.total_texts}
    known |= {_folded(text): code for text, code in dimension.texts.items()}

    @cache
    def find(text: str) -> str | None:
        return known.get(_folded(text))

    def code(text: str, name: str, number: int) -> str:
        found = find(text)
        if found is None:
            raise DataRefused(
                f"{name}: value {number}: {dimension.text_da} {text!r} has no code in the code list "
                f"{dimension.codelist}; add it under `texts:` of the source, with the code it stands for"
            )
        return found

    return code


def coded(coders: Sequence[Coder], texts: Sequence[str], name: str, number: int) -> tuple[str, ...]:
    """Return the dimension texts of one value as they are kept; DataRefused as `coder_of` says."""
    return tuple(code(text, name, number) for code, text in zip(coders, texts, strict=True))


def _codes(codelist: str) -> dict[str, str]:
    """Return text, text without its leading code, and code -> code, for the leaves of a list."""
    codes = load_codelists().get(codelist)
    if codes is None:
        raise UsageError(f"there is no code list {codelist!r} in transforms/reference/codelists.csv")
    leaves = [code for code in codes if code.kind == "leaf"]
    return {
        _folded(text): code.code
        for code in leaves
        for text in (code.code, code.text_da, code.text_da.removeprefix(f"{code.code} "))
    }


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


# Any answer of Jobindsats as one tidy CSV: `area_code;period;<dimensions>;measure_id;value;status`.


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
    keys = [_heading_key(heading) for heading in answer.headings]
    if keys[-1] == "værdi":
        return _from_export(answer, query, name)
    roles: dict[int, str] = {}
    known = {_heading_key(text): ("measure", measure.id) for measure in query.measures for text in measure.headings}
    known |= {_heading_key(text): ("dimension", each.column) for each in query.dimensions for text in each.headings}
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
    names = {_heading_key(text): measure.id for measure in query.measures for text in measure.headings}
    axes = range(2, len(answer.headings) - 1)
    texts = {n: {row[n] or "" for row in answer.rows} for n in axes}
    measures = [n for n in axes if {_heading_key(text) for text in texts[n]} <= set(names)]
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
        (
            row[1] or "",
            row[0] or "",
            tuple(row[n] or "" for n in others),
            names[_heading_key(row[measures[0]] or "")],
            row[-1],
        )
        for row in answer.rows
    ]


def _heading_key(heading: str) -> str:
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
