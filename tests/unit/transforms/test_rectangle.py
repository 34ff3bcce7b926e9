"""Absent cells: the rectangle less what is there, whatever is there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import load
from transforms.load import absent_cells
from transforms.warehouse import Warehouse

CODES = {"area": ["101", "084", "000"], "sex": ["TOT", "1"], "period": ["2016K1", "2017K1"]}
CELLS = list(product(*CODES.values()))


def absent(held: Sequence[tuple[str | None, ...]], codes: dict[str, list[str]]) -> list[tuple[str, ...]]:
    with Warehouse.open() as warehouse:
        columns = {name: pa.array([row[n] for row in held], pa.string()) for n, name in enumerate(CODES)}
        warehouse.load("main.held", pa.table(columns))
        tables = list(absent_cells(warehouse, "main.held", codes, "period"))
    return sorted(tuple(row[name] for name in CODES) for table in tables for row in table.to_pylist())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(CELLS)))
def test_what_is_absent_and_what_is_there_make_the_rectangle(held: list[tuple[str, ...]]) -> None:
    assert absent(held, CODES) == sorted(set(CELLS) - set(held))


def test_rows_outside_the_rectangle_fill_no_cell_of_it() -> None:
    strangers: list[tuple[str | None, ...]] = [("999", "TOT", "2016K1"), (None, "1", "2016K1"), ("101", "1", "1999K1")]
    assert absent(strangers, CODES) == sorted(CELLS)


def test_one_code_per_column_and_no_code_at_all() -> None:
    assert absent([], {"area": ["101"], "sex": ["1"], "period": ["2016K1"]}) == [("101", "1", "2016K1")]
    assert absent([("101", "1", "2016K1")], {"area": ["101"], "sex": ["1"], "period": ["2016K1"]}) == []
    assert absent([], {"area": [], "sex": ["1"], "period": ["2016K1"]}) == []


def test_large_answers_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "CELLS_AT_A_TIME", 1)
    with Warehouse.open() as warehouse:
        warehouse.execute("CREATE TABLE held (area VARCHAR, sex VARCHAR, period VARCHAR)")
        sizes = [table.num_rows for table in absent_cells(warehouse, "held", CODES, "period")]
    assert sizes == [6, 6]
