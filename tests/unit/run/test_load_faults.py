"""The same fault has one outcome wherever in an extract it stands, and whether a cell came or was filled."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.check import check_staging
from expectations.rules import blocking
from flows.connectors.statbank.client import canonical_rows
from flows.connectors.statbank.query import make_plan, parse_tableinfo
from flows.store.snapshots import Origin, SnapshotStore
from tests.fixtures.replica import Replica
from transforms.areas import areas
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.errors import DataRefused
from transforms.load import load_staging
from transforms.tables import build, prepare, read_all
from transforms.warehouse import Warehouse

CATALOGUE, DICTIONARY, FILES = load_catalogue(), load_dictionary(), read_all()
SOURCE = CATALOGUE.sources["statbank_indoph1"]
PLACES = {"at the start": 1, "in the middle": 2_000, "at the end": 10**6}
FAULTS = {
    "a code nobody knows": lambda line: f"zz{line[line.index(b';'):].decode()}".encode(),
    "an area nobody knows": lambda line: b";".join([line.split(b";")[0], b"84O", *line.split(b";")[2:]]),
    "a figure that is none": lambda line: line.rpartition(b";")[0] + b";1O",
    "a figure with decimals": lambda line: line + b".5",
    "a figure below zero": lambda line: line.rpartition(b";")[0] + b";-" + line.rpartition(b";")[2],
    "a mark": lambda line: line.rpartition(b";")[0] + b";..",
    "a period of another kind": lambda line: b";".join([*line.split(b";")[:2], b"2024K1", line.split(b";")[3]]),
    "a column too few": lambda line: line.rpartition(b";")[0],
    "a column too many": lambda line: line + b";1",
    "a line twice": lambda line: line + b"\r\n" + line,
    "two figures of one cell": lambda line: line + b"\r\n" + line + b"0",
    "a text for a code": lambda line: b";".join(
        [line.split(b";")[0], areas()[line.split(b";")[1].decode()].name_da.encode(), *line.split(b";")[2:]]
    ),
}  # fmt: skip


def outcome(folder: Path, place: int, fault: str, origin: Origin) -> str:
    """Return whether an extract with a fault on one line is taken."""
    replica = Replica()
    replica.tables["INDOPH1"].variable("OPHGR1").codes[0] = ("0", "I alt", "Total")  # so it is scanned in place
    info = parse_tableinfo(replica.answer("/v1/tableinfo", {}, {"table": "INDOPH1", "lang": "en"}, "")[1])
    plan = make_plan(SOURCE, info, CATALOGUE)
    _, content, _ = replica.answer("/v1/data", {}, plan.query.body(), "")
    lines = content.rstrip(b"\r\n").split(b"\r\n")
    smallest = min(range(1, len(lines)), key=lambda n: int(lines[n].rpartition(b";")[2]))  # no rule misses it much
    bent = FAULTS[fault](lines.pop(smallest))
    lines.insert(place, bent)  # the same cell, wherever its line comes: BULK has no order
    path = folder / "indoph1.csv"
    path.write_bytes(b"\r\n".join(lines) + b"\r\n")
    asked = plan.record() if origin == "live" else {}
    form = "bulk" if origin == "live" else "csv"
    store = SnapshotStore(folder / "snapshots")
    snapshot = store.add(SOURCE.id, {path.name: (path, form)}, origin=origin, synthetic=False, query=asked)
    with Warehouse.open() as warehouse:
        prepare(warehouse)
        build(warehouse, FILES, {}, DICTIONARY, ["quarantine.row"])
        file = FILES[f"staging.{SOURCE.id}"]
        try:
            rows = canonical_rows(SOURCE, snapshot, CATALOGUE, folder / "canonical")
            count = load_staging(warehouse, file, rows, DICTIONARY)
        except DataRefused:
            return "not taken"
        found = check_staging(warehouse, SOURCE, file, DICTIONARY, CATALOGUE, count)
    return "not taken" if blocking(found) else "taken"


@pytest.mark.long
@pytest.mark.parametrize("origin", ["live", "directory"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_one_outcome_wherever_it_stands(fault: str, origin: Origin, tmp_path: Path) -> None:
    found = {}
    for number, (words, place) in enumerate(PLACES.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        found[words] = outcome(folder, place, fault, origin)
    assert len(set(found.values())) == 1, found
