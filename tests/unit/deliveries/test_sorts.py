"""Real and invented deliveries in one data folder never meet: each supersedes and equals only its own sort."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.deliveries.delivery_files import CASES, Door, case_rows, cpr, csv_bytes

LEDGER = "SELECT delivery_id, is_synthetic, superseded_by FROM restricted.delivery ORDER BY 1"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.mark.parametrize("invented_first", [True, False])
def test_neither_sort_supersedes_the_other(door: Door, invented_first: bool) -> None:
    first = door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(20)), synthetic=invented_first)
    other = door.one("b_2016K1.csv", csv_bytes(CASES, case_rows(5)), synthetic=not invented_first)
    told = [remark for remark in other.remarks if remark.severity != "info"]
    assert (other.previous, told) == (None, [])  # 5 rows are few only beside the other sort's 20
    assert door.rows(LEDGER) == [
        (first.delivery_id, invented_first, None),
        (other.delivery_id, not invented_first, None),
    ]
    corrected = door.one("c_2016K1.csv", csv_bytes(CASES, case_rows(21)), synthetic=invented_first)
    assert corrected.previous is not None
    assert corrected.previous.delivery_id == first.delivery_id
    assert door.rows('SELECT delivery_id, count(*) FROM restricted."case" GROUP BY 1 ORDER BY 1') == [
        (other.delivery_id, 5),
        (corrected.delivery_id, 21),
    ]


@pytest.mark.parametrize(
    "content",
    [
        csv_bytes(CASES, case_rows(20)),
        csv_bytes(("CPR", "Opholdsgrundlag"), [[cpr(1), "Kvote"]]),  # refused: a column is missing
        b"ingen tabel",  # refused: of no kind
    ],
)
def test_the_same_bytes_are_received_once_of_each_sort(door: Door, content: bytes) -> None:
    ids = {}
    for synthetic in (False, True):
        receipt = door.one("a_2016K1.csv", content, synthetic=synthetic)
        assert not receipt.is_unchanged
        assert receipt.is_synthetic == synthetic
        ids[synthetic] = receipt.delivery_id
    for synthetic, delivery_id in ids.items():
        again = door.one("a_2016K1.csv", content, synthetic=synthetic)
        assert (again.is_unchanged, again.delivery_id) == (True, delivery_id)
    assert len(door.rows(LEDGER)) == 2
