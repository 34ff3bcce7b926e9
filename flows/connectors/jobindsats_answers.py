"""Answers of Jobindsats, in every shape it has used, as headings and rows of texts."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.connectors.jobindsats_export import read_export
from transforms.errors import DataRefused

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
    looks_like_json = _text(content[:4096]).lstrip().startswith(("{", "["))
    return read_json(content, path.name) if looks_like_json else read_csv(content, path.name)


def read_json(content: bytes, name: str) -> Answer:
    """Return a JSON answer of either version as headings and rows; DataRefused when it is neither."""
    try:
        data = json.loads(_text(content))
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
    rows = list(csv.reader(io.StringIO(_text(content), newline=""), delimiter=";"))
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


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    while text.startswith((BOM, DOUBLE_BOM)):
        text = text.removeprefix(BOM).removeprefix(DOUBLE_BOM)
    return text
