"""JSON-stat 1 and 2 as StatBank answers it, as one row per cell with codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from flows.connectors.statbank_decode import FileShape, Limits, check_text, read_whole, refusal
from flows.connectors.statbank_numbers import plain_number
from flows.connectors.statbank_table import Table, in_memory

_MEASURE = "contentscode"
_AGAIN = "ask for the table as CSV with codes"


def load_json(path: Path, gz: bool, limits: Limits) -> dict[str, Any]:
    """Return the dataset object of a JSON-stat file, numbers kept as text.

    Raises DataRefused for other JSON, naming the error when it is one of StatBank's error answers.
    """
    try:
        text = read_whole(path, gz, limits).decode("utf-8-sig")
        content = json.loads(text, parse_float=plain_number, parse_int=str)
    except UnicodeDecodeError:
        raise refusal(path, "the JSON is not UTF-8", "download it again") from None
    except (json.JSONDecodeError, RecursionError):
        raise refusal(path, "the JSON is cut off or damaged", "download it again") from None
    check_text(path, text)
    if isinstance(content, dict) and "errorTypeCode" in content:
        answer = f"{content['errorTypeCode']}: {content.get('message', '')}"
        raise refusal(path, f"an error answer instead of data ({answer})", "correct the query and ask again")
    dataset = content.get("dataset", content) if isinstance(content, dict) else None
    if not isinstance(dataset, dict) or not {"dimension", "value"} <= dataset.keys():
        raise refusal(path, "JSON, but no JSON-stat dataset", _AGAIN)
    return dataset


def read_jsonstat(path: Path, shape: FileShape, limits: Limits) -> Table:
    """Return a JSON-stat dataset as a table named by dimension ids, cells as codes, null as `..`.

    Row numbers are the position in the value list, from 1. Raises DataRefused when ids, sizes, categories and
    values do not fit each other, or when the dataset holds several measures.
    """
    dataset = load_json(path, shape.gz, limits)
    try:
        dimensions = dataset["dimension"]
        ids = [str(name) for name in dataset.get("id") or dimensions["id"]]
        sizes = [int(size) for size in dataset.get("size") or dimensions["size"]]
        axes = [_codes(dimensions[name]["category"]) for name in ids]
        values = _values(dataset, prod(sizes), limits)
        table_id = (dataset.get("extension") or {}).get("px", {}).get("tableid")
        label = str(dataset.get("label", ""))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        raise refusal(path, "the JSON-stat dataset is incomplete", _AGAIN) from None
    if [len(axis) for axis in axes] != sizes or len(values) != prod(sizes):
        raise refusal(path, f"{len(values)} values and sizes {sizes} do not fit the categories", "download it again")
    measure = [name.casefold() == _MEASURE for name in ids]
    several = any(is_measure and size != 1 for is_measure, size in zip(measure, sizes, strict=True))
    if several:
        raise refusal(path, "several measures in one dataset", "ask for one measure at a time")
    names = tuple(name for name, is_measure in zip(ids, measure, strict=True) if not is_measure)
    rows: list[tuple[int, Sequence[str], str]] = []
    for number, (cells, value) in enumerate(zip(product(*axes), values, strict=True), start=1):
        rows.append((number, [c for c, is_measure in zip(cells, measure, strict=True) if not is_measure], value))
    return Table(path, shape, names, in_memory(rows), label, str(table_id) if table_id else None)


def _codes(category: dict[str, Any]) -> list[str]:
    index = category.get("index")
    if isinstance(index, dict):
        return [str(code) for code, _ in sorted(index.items(), key=lambda item: int(item[1]))]
    return [str(code) for code in (index if index is not None else category["label"])]


def _values(dataset: dict[str, Any], count: int, limits: Limits) -> list[str]:
    """Return every cell as text: sparse objects filled with `..`, a cell's status mark where it has no value."""
    if count < 0 or count * 10 > limits.in_memory_bytes:
        raise ValueError("size")
    given, status = dataset["value"], dataset.get("status") or {}
    if isinstance(given, dict):
        if any(not 0 <= int(place) < count for place in given):
            raise IndexError("value")
        given = [given.get(str(place)) for place in range(count)]

    def mark(place: int) -> str:
        found = status.get(str(place)) if isinstance(status, dict) else status[place]
        return str(found) if found else ".."

    return [mark(place) if value is None else str(value) for place, value in enumerate(given)]
