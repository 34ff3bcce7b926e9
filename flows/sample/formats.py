"""The answers of the stand-in in StatBank's formats: CSV, BULK, JSON-stat and the web page's Excel."""

from __future__ import annotations

import codecs
import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.sample.asked import SUPPRESSED, SYNTHETIC, CubeAnswers, Extract, ShownVariable, updated_utc

CELLS_AT_A_TIME = 400_000
ROWS_AT_A_TIME = 65_536
MOST_DECIMALS = 4
ZEROS = [f"{sign}{float(SUPPRESSED):.{n}f}" for sign in ("", "-") for n in range(MOST_DECIMALS + 1)]
"""SUPPRESSED as the tables print it: the cells are equal to it as numbers, with as many decimals as the table has."""


def render(extract: Extract, cubes: CubeAnswers) -> Iterator[bytes]:
    """Yield the body of the answer, block by block for the formats that are lines of text."""
    if extract.file_format == "BULK":
        yield from _bulk(extract, cubes)
    elif extract.file_format == "CSV":
        yield codecs.BOM_UTF8 + _header(extract)
        yield from _lines(extract, _cells(extract, cubes))
    elif extract.file_format == "JSONSTAT":
        yield _json_stat(extract, _cells(extract, cubes))
    else:
        yield _xlsx(extract, _cells(extract, cubes))


def presented(variable: ShownVariable, extract: Extract) -> dict[str, str]:
    """Return every code of a variable as the extract shows it: code, text (the default), or both in one cell."""
    form = {"Code": "{0}", "CodeAndValue": "{0} {1}", "ValueAndCode": "{1} {0}"}.get(extract.presentation, "{1}")
    return {code.id: form.format(code.id, code.text[extract.lang]) for code in variable.codes}


def _bulk(extract: Extract, cubes: CubeAnswers) -> Iterator[bytes]:
    """Yield BULK: no mark at the start, zero cells left out, totals last, codes as text, periods in no order."""
    yield _header(extract)
    zeros = pa.array(ZEROS, pa.string())
    order = [_server_order(v, codes) for v, codes in zip(extract.variables, extract.values, strict=True)]
    time = next(place for place, variable in enumerate(extract.variables) if variable.time)
    per_period = math.prod(len(codes) for place, codes in enumerate(order) if place != time)
    step = max(1, CELLS_AT_A_TIME // max(1, per_period))
    for start in range(0, len(order[time]), step):
        part = [codes[start : start + step] if place == time else codes for place, codes in enumerate(order)]
        cells = cubes.answer(extract.table.id, {v.id: c for v, c in zip(extract.variables, part, strict=True)})
        yield from _lines(extract, cells.filter(pc.invert(pc.is_in(cells["value"], value_set=zeros))))


def _server_order(variable: ShownVariable, codes: Sequence[str]) -> list[str]:
    if variable.time:
        return sorted(codes, key=lambda code: code[::-1])
    return sorted(codes, key=lambda code: (code == variable.total, code))


def _cells(extract: Extract, cubes: CubeAnswers) -> pa.Table:
    """Return the cells of a non-streaming extract: the first variable slowest, codes as asked for.

    Variables left out stand at their total, or are summed.
    """
    asked = {v.id: list(codes) for v, codes in zip(extract.variables, extract.values, strict=True)}
    left_out = {v.id: list(v.ids) if v.total is None else [v.total] for v in extract.eliminated}
    cells = cubes.answer(extract.table.id, asked | left_out)
    if any(variable.total is None for variable in extract.eliminated):
        cells = _added_up(cells, list(asked), extract.table.decimals)
    places = {name: pc.index_in(cells[name], value_set=pa.array(codes, pa.string())) for name, codes in asked.items()}
    return cells.take(pc.sort_indices(pa.table(places), sort_keys=[(name, "ascending") for name in places]))


def _added_up(cells: pa.Table, kept: list[str], decimals: int) -> pa.Table:
    text = cells["value"]
    number = pc.if_else(pc.match_substring_regex(text, r"^-?\d"), text, None).cast(pa.float64())
    grouped = cells.select(kept).append_column("number", number).group_by(kept).aggregate([("number", "sum")])
    sums = [".." if value is None else f"{value:.{decimals}f}" for value in grouped["number_sum"].to_pylist()]
    return grouped.select(kept).append_column("value", pa.array(sums, pa.string()))


def _header(extract: Extract) -> bytes:
    return (extract.delimiter.join([*(v.id.upper() for v in extract.variables), "INDHOLD"]) + "\r\n").encode()


def _lines(extract: Extract, cells: pa.Table) -> Iterator[bytes]:
    """Yield the rows as text; Arrow joins the columns, and its own buffer is what goes on the wire."""
    columns = [_shown(extract, variable, cells[variable.id]) for variable in extract.variables]
    value = cells["value"]
    if extract.lang == "da":  # marks such as `..` stay
        value = pc.replace_substring_regex(value, r"(\d)\.(\d)", r"\1,\2")
    lines = pc.binary_join_element_wise(*columns, pc.binary_join_element_wise(value, "\r\n", ""), extract.delimiter)
    for block in pa.table({"line": lines}).to_batches(ROWS_AT_A_TIME):
        texts = pa.ListArray.from_arrays(pa.array([0, len(block)], pa.int32()), block["line"])
        yield pc.binary_join(texts, "")[0].as_buffer().to_pybytes()


def _shown(extract: Extract, variable: ShownVariable, codes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return one column of categories in the presentation asked for."""
    if extract.presentation == "Code":
        return codes
    shown = pa.array(presented(variable, extract).values(), pa.string())
    return shown.take(pc.index_in(codes, value_set=pa.array(variable.ids, pa.string())).combine_chunks())


def _number(value: str, mark: str | None = None) -> int | float | str | None:
    """Return a printed value as a number, `mark` where it is none."""
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return mark


def _json_stat(extract: Extract, cells: pa.Table) -> bytes:
    """Return JSON-stat 1 as StatBank writes it: eliminated variables absent, ContentsCode before the time."""
    table, lang = extract.table, extract.lang
    dimension: dict[str, Any] = {}
    size = []
    for variable, codes in zip(extract.variables, extract.values, strict=True):
        if variable.time:
            dimension["ContentsCode"] = _contents(extract)
            size.append(1)
        texts = {code.id: code.text[lang] for code in variable.codes}
        category = {"index": {code: n for n, code in enumerate(codes)}, "label": {code: texts[code] for code in codes}}
        dimension[variable.id] = {"label": variable.text[lang], "category": category}
        size.append(len(codes))
    ids = list(dimension)
    role = {"metric": ["ContentsCode"], "time": ["Tid"]}
    areas = [variable.id for variable in extract.variables if variable.role == "area"]
    dataset = {
        "dimension": {**dimension, "id": ids, "size": size, "role": role | ({"geo": areas} if areas else {})},
        "label": table.description(lang, [dimension[name]["label"] for name in ids]),
        "source": f"{'Danmarks Statistik' if lang == 'da' else 'Statistics Denmark'} – {SYNTHETIC[lang]}",
        "updated": updated_utc(table),
        "value": [_number(value) for value in cells["value"].to_pylist()],
        "extension": {"px": {"infofile": table.url, "tableid": table.id, "decimals": table.decimals}},
    }
    return json.dumps({"dataset": dataset}, ensure_ascii=False).encode()


def _contents(extract: Extract) -> dict[str, Any]:
    table = extract.table
    unit = {table.id: {"base": table.unit[extract.lang], "decimals": table.decimals}}
    category = {"index": {table.id: 0}, "label": {table.id: table.title[extract.lang]}, "unit": unit}
    return {"label": "Indhold", "category": category}


def _xlsx(extract: Extract, cells: pa.Table) -> bytes:
    """Return the workbook of statistikbanken.dk: title, unit, periods in row 3, stub on a group's first row."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    lang = extract.lang
    stub = [variable for variable in extract.variables if not variable.time]
    time = next(variable for variable in extract.variables if variable.time)
    periods = extract.values[extract.variables.index(time)]
    shown = {variable: presented(variable, extract) for variable in extract.variables}
    grid: dict[tuple[str, ...], dict[str, str]] = {}
    for row in cells.to_pylist():
        grid.setdefault(tuple(row[v.id] for v in stub), {})[row[time.id]] = row["value"]
    book = Workbook()
    sheet = book.active
    assert sheet is not None, "a new workbook has one sheet"
    sheet.title = extract.table.id
    sheet.append([extract.table.description(lang, [v.text[lang] for v in (*stub, time)])])
    sheet.append([f"{'Enhed' if lang == 'da' else 'Units'}: {extract.table.unit[lang]}"])
    sheet.append([*([None] * len(stub)), *(shown[time][period] for period in periods)])
    above: tuple[str | None, ...] = (None,) * len(stub)
    for codes, values in grid.items():
        same = next((n for n, (old, new) in enumerate(zip(above, codes, strict=True)) if old != new), 0)
        names = [shown[variable][code] for variable, code in zip(stub, codes, strict=True)]
        sheet.append([*[None] * same, *names[same:], *(_number(values[p], mark=values[p]) for p in periods)])
        above = codes
    for cell in [c for row in sheet.iter_rows(max_col=max(1, len(stub))) for c in row]:
        cell.font = Font(bold=True)
    sheet.append([])
    sheet.append([f"{SYNTHETIC[lang]}."])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()
