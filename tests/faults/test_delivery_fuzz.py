"""Thousands of deliveries damaged at random: each ends as a receipt whose rows add up, and no number gets out."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.deliveries.intake import Intake, Request, receive
from flows.deliveries.keys import keygen, load_keys
from flows.deliveries.receipts import as_html, as_json
from flows.deliveries.store import open_restricted
from tests.unit.deliveries.delivery_files import CASES, MOMENT, case_rows, cpr, csv_bytes, xlsx_bytes, zip_bytes

EVERYDAY, LONG = 300, int(os.environ.get("DELIVERIES", "5000"))
SECRET = re.compile(r"0101[6-9]\d[\W_]{0,2}1\d{3}")
Mutation = Callable[[random.Random, bytes], bytes]


def _flip(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def _remove(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content))
    return content[:start] + content[start + rng.randint(1, 60) :]


def _repeat(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content))
    piece = content[start : start + rng.randint(1, 200)]
    return content[:start] + piece * rng.randint(1, 5) + content[start:]


def _insert(rng: random.Random, content: bytes) -> bytes:
    signs = [
        b'"',
        b";",
        b"\n",
        b"\r",
        b"\0",
        b",",
        b"\t",
        b"=",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"'",
        b"\xe6",
        b"0",
        b"-",
        b"\x1a",
    ]
    start = rng.randrange(len(content))
    return content[:start] + rng.choice(signs) * rng.choice([1, 1, 2, 50]) + content[start:]


def _swap_cells(rng: random.Random, content: bytes) -> bytes:
    cells = content.split(b";")
    for _ in range(rng.randint(1, 10)):
        first, second = rng.randrange(len(cells)), rng.randrange(len(cells))
        cells[first], cells[second] = cells[second], cells[first]
    return b";".join(cells)


def _swap_lines(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\r\n")
    rng.shuffle(lines)
    return b"\r\n".join(lines)


def _replace(rng: random.Random, content: bytes) -> bytes:
    old = rng.choice([b";", b"\r\n", b"Syrien", b"01-02-2015", b"CPR", b"2"])
    return content.replace(old, rng.choice([b",", b"\n", b"", b"01.02.15", cpr(7).encode(), b'"', b"\t"]))


MUTATIONS: list[Mutation] = [_flip, _cut, _remove, _repeat, _insert, _swap_cells, _swap_lines, _replace]


def _delivery(rng: random.Random) -> tuple[str, bytes]:
    rows = case_rows(rng.randint(1, 12), rng.randrange(50))
    encoding = rng.choice(["utf-8", "utf-8-sig", "cp1252", "utf-16"])
    content = csv_bytes(CASES, rows, rng.choice([";", ",", "\t"]), encoding)
    name = f"sager {rng.choice(['Rebild', 'x', cpr(1)])} {rng.choice(['2016K1', '', '31-03-2016'])}.csv"
    form = rng.random()
    if form < 0.12:
        name, content = name.replace(".csv", ".xlsx"), xlsx_bytes([CASES, *rows])
    elif form < 0.2:
        name, content = name.replace(".csv", ".zip"), zip_bytes({name: content})
    for _ in range(rng.randint(1, 3)):
        if content:
            content = rng.choice(MUTATIONS)(rng, content)
    return name, content


def _fuzz(folder: Path, count: int, seed: int) -> dict[str, int]:
    keygen(folder / "k.key")
    keys = load_keys(folder / "k.key")
    verdicts: dict[str, int] = {}
    with open_restricted(folder / "restricted", keys.database_key) as warehouse:
        for number in range(count):
            rng = random.Random(seed + number)
            name, content = _delivery(rng)
            path = folder / name
            path.write_bytes(content)
            given = rng.choice([None, "840"])
            intake = Intake(keys, Request(received_at=MOMENT, municipality=given))
            for receipt in receive([path], intake, warehouse):
                assert receipt.rows_in == receipt.rows_accepted + receipt.rows_rejected, number
                assert receipt.rows_accepted == 0 or not receipt.is_refused, number
                said = receipt.line() + as_json(receipt) + as_html(receipt)
                assert SECRET.search(said) is None, number
                assert "Navnesen" not in said, number
                verdicts[receipt.verdict] = verdicts.get(receipt.verdict, 0) + 1
            path.unlink()
        stored = warehouse.rows('SELECT delivery_id, count(*) FROM restricted."case" GROUP BY 1 ORDER BY 1')
        said_to_be = warehouse.rows(
            "SELECT delivery_id, rows_accepted FROM restricted.delivery "
            "WHERE verdict <> 'afvist' AND superseded_by IS NULL AND kind = 'cases' ORDER BY 1"
        )
    assert stored == said_to_be
    return verdicts


@pytest.mark.long
def test_mutated_deliveries_end_as_receipts_that_add_up(tmp_path: Path) -> None:
    verdicts = _fuzz(tmp_path, EVERYDAY, seed=1)
    assert set(verdicts) == {"godkendt", "godkendt med bemærkninger", "afvist"}
    assert sum(verdicts.values()) >= EVERYDAY


@pytest.mark.long
def test_many_more_mutated_deliveries(tmp_path: Path) -> None:
    assert sum(_fuzz(tmp_path, LONG, seed=100_000).values()) >= LONG
