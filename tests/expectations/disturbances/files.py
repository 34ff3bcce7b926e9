"""Files by hand and files of the program disturbed: the four deliveries of a municipality, and the reference tables.

SYNTHETIC: the deliveries are those of the sample world. A delivery is handed in, then handed in again disturbed; the
receipt is the verdict (`afvist` stops it, remarks and rejected rows warn). Reference tables are held against those the
last publication was made with.
"""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from expectations.drift import check_drift
from flows.deliveries.contract import load_contracts
from flows.deliveries.intake import deliver
from flows.deliveries.keys import keygen
from flows.deliveries.receipts import Receipt
from flows.sample.deliveries import DeliveryTables, Hand, _text
from tests.expectations.disturbances.bench import cubes
from tests.expectations.disturbances.table import Verdict
from transforms import tables
from transforms.catalogue import KINDS, Contract
from transforms.errors import KommunekortError
from transforms.tables import FOLDER, load_reference
from transforms.warehouse import Warehouse, quote_literal

REFERENCE = tuple(f"reference/{path.stem}" for path in sorted(FOLDER.glob("*.csv")))
DELIVERIES = {f"delivery_{kind}": kind for kind in KINDS.values()}
SOURCES = (*DELIVERIES, *REFERENCE)
PLACE, OTHER = "461", "851"
Rows = list[list[str]]


@dataclass(frozen=True)
class Form:
    """The undisturbed table: its headings, field names, types and rows; the same of another municipality."""

    headings: list[str]
    names: list[str]
    types: list[str]
    rows: Rows
    others: Rows

    def places(self, *types: str) -> list[int]:
        """Return the columns of these types that are filled at all."""
        return [n for n, kind in enumerate(self.types) if kind in types and any(row[n] for row in self.rows)]


Change = Callable[[Form], tuple[list[str], Rows] | None]


def verdicts(source: str) -> Iterator[Verdict]:
    """Yield the verdicts on every disturbance of a delivery or a reference table."""
    yield from _references(source) if source in REFERENCE else _deliveries(source)


# Deliveries.


def _deliveries(source: str) -> Iterator[Verdict]:
    form = _form(load_contracts()[DELIVERIES[source]])
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        (home / "data").mkdir(parents=True)
        keygen(home / "key", home / "data")
        _hand_in(home, _written(form.headings, form.rows), 15)
        quiet = _told(_hand_in(_copied(home), _written(form.headings, [*form.rows, [""] * len(form.names)]), 16))
        text = _written(form.headings, form.rows)
        files = {name: _written(*changed) for name, change in CHANGES.items() if (changed := change(form)) is not None}
        for share in (0.5, 0.9, 0.999):
            end = text.index(b"\n", int(share * len(text)) - 2) + 1
            files[f"cut at a line end at {share:.1%}"] = text[:end]
        files["cut within a line"] = text[: int(0.7 * len(text))]
        for name, content in files.items():
            receipts = _hand_in(_copied(home), content, 16)
            told = tuple(sorted(_told(receipts) - quiet))
            stopped = any(receipt.is_refused or receipt.is_unchanged for receipt in receipts)
            yield Verdict(source, name, "new", told or ("unchanged",) if stopped else (), () if stopped else told)


def _form(contract: Contract) -> Form:
    world = DeliveryTables(cubes().world)
    hand = Hand(1, PLACE, contract.kind, dirt=False)
    hand.style.update(variants=False, hyphen=True, lost_zero=False, date=lambda day: f"{day:%d-%m-%Y}")
    names, _ = world.table(contract.kind, PLACE)
    fields = [contract.field(name) for name in names]

    def texts(code: str) -> Rows:
        rows = world.table(contract.kind, code)[1]
        return [[_text(value, field, hand) for value, field in zip(row, fields, strict=True)] for row in rows]

    return Form([f.label_da for f in fields], names, [f.type for f in fields], texts(PLACE), texts(OTHER))


def _copied(home: Path) -> Path:
    again = home.parent / "again"
    shutil.rmtree(again, ignore_errors=True)
    shutil.copytree(home, again)
    return again


def _hand_in(home: Path, content: bytes, day: int) -> list[Receipt]:
    path = home / "fil.csv"
    path.write_bytes(content)
    return deliver(
        [path], PLACE, home / "data", home / "key", synthetic=True, received_at=datetime(2026, 3, day, 9, tzinfo=UTC)
    )


def _written(headings: Sequence[str], rows: Rows) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows([headings, *rows])
    return text.getvalue().encode()


def _told(receipts: Sequence[Receipt]) -> set[str]:
    """Return what needs the sender's action, as short names."""
    rules = {total.rule for receipt in receipts for total in receipt.totals if total.severity != "info"}
    remarks = {
        each.text_en.split(";")[0] for receipt in receipts for each in receipt.remarks if each.severity != "info"
    }
    dropped = {"undeclared column" for receipt in receipts if receipt.undeclared}
    return rules | {" ".join(text.split()[:6]) for text in remarks} | dropped


def _number(form: Form, change: Callable[[float], str]) -> tuple[list[str], Rows] | None:
    places = form.places("decimal", "integer")
    rows = [
        [change(float(cell.replace(",", "."))) if n in places and cell else cell for n, cell in enumerate(row)]
        for row in form.rows
    ]
    return (form.headings, rows) if places else None


def _scaled(factor: float) -> Change:
    return lambda form: _number(form, lambda value: f"{value * factor:g}".replace(".", ","))


def _all(text: str) -> Change:
    return lambda form: _number(form, lambda value: text)


def _swapped_columns(form: Form) -> tuple[list[str], Rows] | None:
    """Two columns of one type carry each other's headings."""
    for kind in ("date", "decimal", "boolean", "enum", "integer"):
        if len(places := form.places(kind)) > 1:
            headings = list(form.headings)
            headings[places[0]], headings[places[1]] = headings[places[1]], headings[places[0]]
            return headings, form.rows
    return None


def _swapped_codes(form: Form) -> tuple[list[str], Rows] | None:
    """The two most usual values of a category have changed places."""
    for place in form.places("enum", "boolean"):
        common = [text for text, _ in Counter(row[place] for row in form.rows if row[place]).most_common(2)]
        if len(common) == 2:
            other = {common[0]: common[1], common[1]: common[0]}
            return form.headings, [
                [*row[:place], other.get(row[place], row[place]), *row[place + 1 :]] for row in form.rows
            ]
    return None


def _shifted(form: Form) -> tuple[list[str], Rows] | None:
    """Every column but the first stands one row down."""
    if len(form.rows) < 2:
        return None
    return form.headings, [
        [row[0], *above[1:]] for row, above in zip(form.rows, [form.rows[-1], *form.rows], strict=False)
    ]


def _rows(change: Callable[[Rows], Rows]) -> Change:
    return lambda form: (form.headings, change([list(row) for row in form.rows])) if len(form.rows) > 1 else None


def _years(by: int) -> Change:
    """Every date lies so many years later."""

    def change(form: Form) -> tuple[list[str], Rows] | None:
        places = form.places("date")
        rows = [
            [f"{cell[:6]}{int(cell[6:]) + by}" if n in places and cell else cell for n, cell in enumerate(row)]
            for row in form.rows
        ]
        return form.headings, rows

    return change


def _without_column(form: Form) -> tuple[list[str], Rows]:
    place = len(form.headings) - 2
    return [*form.headings[:place], *form.headings[place + 1 :]], [
        [*row[:place], *row[place + 1 :]] for row in form.rows
    ]


def _last_year(form: Form) -> tuple[list[str], Rows] | None:
    """The file of a year ago: rows of the last year are not in it."""
    place = form.places("date")[0]
    rows = [row for row in form.rows if not row[place] or row[place][6:] < "2025"]
    return (form.headings, rows) if 0 < len(rows) < len(form.rows) else None


def _sorted_numbers(form: Form) -> tuple[list[str], Rows] | None:
    """One column is sorted by itself."""
    places = form.places("decimal", "integer", "enum")
    if not places or len(form.rows) < 2:
        return None
    inorder = sorted(row[places[0]] for row in form.rows)
    return form.headings, [
        [*row[: places[0]], text, *row[places[0] + 1 :]] for row, text in zip(form.rows, inorder, strict=True)
    ]


def _people_shuffled(form: Form) -> tuple[list[str], Rows] | None:
    if "cpr" not in form.names:
        return None
    return form.headings, [[other[0], *row[1:]] for row, other in zip(form.rows, form.rows[::-1], strict=True)]


CHANGES: dict[str, Change] = {
    **{f"all × {factor:g}": _scaled(factor) for factor in (1000, 100, 10, 1.3, 0.1)},
    "all decimal mark lost": lambda form: _number(form, lambda value: f"{value:.1f}".replace(".", "")),
    "all negative": lambda form: _number(form, lambda value: f"{-value:g}".replace(".", ",")),
    "all NaN": _all("NaN"), "all infinity": _all("Infinity"), "all 1e308": _all("1e308"), "all zero": _all("0"),
    "all equal": _all("7"), "all withheld": _all(".."),
    "columns swapped": _swapped_columns,
    "codes of category 1 swapped": _swapped_codes,
    "all figures one row down": _shifted,
    "a column sorted by itself": _sorted_numbers,
    "persons shuffled among the rows": _people_shuffled,
    "another municipality's file": lambda form: (form.headings, form.others),
    "half of the rows gone": _rows(lambda rows: rows[::2]),
    "two thirds of the rows gone": _rows(lambda rows: rows[::3]),
    "one row gone": _rows(lambda rows: rows[1:]),
    "one row twice, equal": lambda form: (form.headings, [*form.rows, form.rows[0]]),
    "one row twice, unequal": lambda form: (form.headings, [*form.rows, [*form.rows[0][:-2], "", ""]]),
    "every row twice": lambda form: (form.headings, [*form.rows, *form.rows]),
    "a column missing": _without_column,
    "the same file again": lambda form: (form.headings, form.rows),
    "last year's file again": _last_year,
    "all dates a year later": _years(1),
    "all dates in 2099": _years(80),
    "no line at all": lambda form: (form.headings, []),
    "one cell a word": lambda form: (form.headings, [[*form.rows[0][:2], "ukendt", *form.rows[0][3:]], *form.rows[1:]]),
}  # fmt: skip


# Reference tables: what the program brings along, held against what the last publication was made with.


def _references(source: str) -> Iterator[Verdict]:
    stem = source.removeprefix("reference/")
    with tempfile.TemporaryDirectory() as folder:
        before, changed = Path(folder) / "before.duckdb", Path(folder) / "reference"
        with Warehouse.open(before) as warehouse:
            tables.prepare(warehouse)
            load_reference(warehouse)
            _empty_marts(warehouse, "meta")
        shutil.copytree(FOLDER, changed)
        text = (FOLDER / f"{stem}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        for name, lines in _damaged(text):
            (changed / f"{stem}.csv").write_text("".join(lines), encoding="utf-8")
            with Warehouse.open() as warehouse:
                tables.prepare(warehouse)
                _empty_marts(warehouse, "run")
                try:
                    load_reference(warehouse, changed)
                except KommunekortError as error:
                    yield Verdict(source, name, "new", (f"refused: {error}",), ())
                    continue
                broken = [outcome for outcome in check_drift(warehouse, before) if not outcome.success]
            stops = tuple(outcome.rule_id for outcome in broken if outcome.severity == "critical")
            yield Verdict(source, name, "new", stops, tuple(outcome.rule_id for outcome in broken))


def _damaged(text: list[str]) -> Iterator[tuple[str, list[str]]]:
    head, *lines = text
    if not lines:  # filled in by hand, and empty as the program comes
        return
    middle = len(lines) // 2
    yield "half of the rows gone", [head, *lines[::2]]
    yield "one row gone", [head, *lines[:middle], *lines[middle + 1 :]]
    yield "one row twice, equal", [*text, lines[middle]]
    yield "two rows swapped in their first column", [head, *_first_swapped(lines)]
    for share in (0.5, 0.9, 0.999):
        yield f"cut at a line end at {share:.1%}", [head, *lines[: min(int(share * len(lines)), len(lines) - 1)]]
    for name, digit in (("one cell a word", "ukendt"), ("one cell NaN", "NaN"), ("one cell × 10", None)):
        cells = lines[middle].rstrip("\r\n").split(";")
        cells[-1] = cells[-1] + "0" if digit is None else digit
        yield name, [head, *lines[:middle], ";".join(cells) + "\n", *lines[middle + 1 :]]
    yield "no line at all", [head]


def _first_swapped(lines: list[str]) -> list[str]:
    one, other = lines[0].split(";", 1), lines[-1].split(";", 1)
    return [f"{other[0]};{one[1]}", *lines[1:-1], f"{one[0]};{other[1]}"]


def _empty_marts(warehouse: Warehouse, schema: str) -> None:
    """Create what the comparison with the last publication reads, without any figure."""
    loaded = "rows_loaded_count" if schema == "meta" else "rows_loaded"
    warehouse.execute(
        "CREATE TABLE mart.indicator_value (indicator_id VARCHAR, municipality_code VARCHAR, period VARCHAR, "
        "value DOUBLE, value_status VARCHAR, _snapshot_id VARCHAR)"
    )
    warehouse.execute("CREATE TABLE mart.indicator (indicator_id VARCHAR)")
    warehouse.execute(
        f"CREATE TABLE {schema}.snapshot (source_id VARCHAR, origin VARCHAR, is_synthetic BOOLEAN, is_renamed BOOLEAN, "
        f"{loaded} BIGINT)"
    )
    warehouse.execute(
        f"CREATE TABLE {schema}.run AS SELECT {quote_literal('live')} AS origin, NULL::TIMESTAMP AS as_of"
    )
