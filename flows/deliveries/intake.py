"""Municipal deliveries: received, checked, pseudonymised, stored, and answered with a receipt.

No CPR number and no name leaves this package: not in the database, the receipts, the logs or an error.
"""

from __future__ import annotations

import gc
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.deliveries import store
from flows.deliveries.contract import Fault, Refusal, load_contracts, shown
from flows.deliveries.files import (
    Block,
    Bounds,
    Layout,
    Part,
    municipality_in,
    open_workbook,
    parts_of,
    period_in,
    read_blocks,
    read_layout,
    read_sheet,
    require_complete,
    sheet_blocks,
    sheet_layout,
    sheets,
)
from flows.deliveries.keys import Keys, Pseudonymiser, load_keys, mask
from flows.deliveries.receipts import Outcome, Receipt, Remark, Tally, receipt_of, unchanged_receipt, write_receipt
from flows.deliveries.store import Delivery, RowRule, open_restricted, supersede
from flows.deliveries.values import (
    MISSING,
    Parsed,
    Wrong,
    clean,
    parse_municipality,
    parse_period,
    parser_of,
    quarter_of,
)
from transforms.areas import areas, suggest
from transforms.catalogue import KINDS, Contract, DeliveryField
from transforms.errors import KommunekortError, UsageError
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


# Guards around taking a delivery in: all or nothing, no data in errors, no pauses.


@contextmanager
def quietly(doing: str) -> Iterator[None]:
    """Turn an unforeseen error into one that names its place and type only: its own text may quote a person's row."""
    try:
        yield
    except KommunekortError:
        raise
    except Exception as error:
        trace = error.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
        raise KommunekortError(
            f"{doing}: unexpected {type(error).__name__} at {where}; nothing of it was stored, "
            "report this to the data team"
        ) from None


@contextmanager
def transaction(warehouse: Warehouse) -> Iterator[None]:
    """Run statements as one: all of them last, or none."""
    warehouse.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        warehouse.execute("ROLLBACK")
        raise
    warehouse.execute("COMMIT")


@contextmanager
def without_collector() -> Iterator[None]:
    """Pause the cycle collector: millions of small remembered values hold no cycles and make its rounds long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# Blocks of text turned into typed rows, column by column: each distinct text is read once, faults are counted.


REMEMBERED = 200_000


@dataclass(frozen=True)
class Column:
    """One field's column read: what is stored of it, which rows are wrong, and of a wrong row its text and rule."""

    field: DeliveryField
    stored: dict[str, pa.Array]
    wrong: np.ndarray
    text: Callable[[int], str]
    rule: Callable[[int], str]


class Parser:
    """Reads the blocks of one table. `expected` is field name -> value every row must have, where it has one."""

    def __init__(self, layout: Layout, people: Pseudonymiser, tally: Tally, expected: dict[str, str]):
        self.layout = layout
        self.tally = tally
        self._people = people
        self._expected = expected
        self._fields = [layout.contract.field(name) for name in layout.positions]
        self._parse: dict[str, Callable[[str], Parsed]] = {
            each.name: lru_cache(maxsize=REMEMBERED)(parser_of(each)) for each in self._fields if each.type != "cpr"
        }

    def typed(self, block: Block) -> pa.Table:
        """Return the accepted rows of a block: `row_number`, the stored columns, and `birth_date` for deriving ages.

        Every row that is not there is in the tally: rejected with its faults, or blank.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        for row in block.misshapen:
            self.tally.add(Fault(row, "", "row_shape"))
        self.tally.rows_in += len(block.misshapen)
        self.tally.rejected += len(block.misshapen)

        good = np.ones(len(block.rows), dtype=bool)
        filled = np.zeros(len(block.rows), dtype=bool)
        found: dict[str, pa.Array] = {}
        faulty: list[Column] = []
        for each in self._fields:
            texts = block.columns[each.name]
            if not filled.all():
                filled |= pc.not_equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False)
            column = self._people_in(each, texts) if each.type == "cpr" else self._values_in(each, texts)
            if column.wrong.any():
                faulty.append(column)
                good &= ~column.wrong
            found |= column.stored
        for column in faulty:
            self._note(column, np.flatnonzero(column.wrong & filled), block)
        blank = int((~filled).sum())
        self.tally.blank += blank
        self.tally.rows_in += len(good) - blank
        self.tally.rejected += int((filled & ~good).sum())
        table = pa.table({"row_number": pa.array(block.rows), **found})
        keep = good & filled
        return table if keep.all() else table.filter(pa.array(keep))

    def _read(self, each: DeliveryField, text: str) -> Parsed:
        value, rule = self._parse[each.name](text)
        if rule is None and value is not None and self._expected.get(each.name, value) != value:
            return None, f"other_{each.type}"
        return value, rule

    def _people_in(self, each: DeliveryField, texts: pa.StringArray) -> Column:
        """Read CPR numbers, all at once: they hardly repeat within a block."""
        people = self._people.people(texts, clean)
        stored: dict[str, pa.Array] = {"person_id": people.person_id}
        if "sex_code" in self.layout.contract.columns:
            stored |= {name: getattr(people, name) for name in ("birth_date", "sex_code", "is_modulus11")}

        def text(row: int) -> str:
            return str(texts[row].as_py())

        def rule(row: int) -> str:
            return "required" if clean(text(row)).casefold() in MISSING else "cpr"

        return Column(each, stored, people.person_id.is_null().to_numpy(zero_copy_only=False), text, rule)

    def _values_in(self, each: DeliveryField, texts: pa.StringArray) -> Column:
        """Read any other field: each distinct text once."""
        import numpy as np
        import pyarrow as pa

        encoded = texts.dictionary_encode()
        distinct, indices = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        parsed = [self._read(each, text) for text in distinct]
        stored = {}
        if each.type not in ("municipality", "period"):
            stored[each.name] = pa.array([value for value, _ in parsed], _arrow_type(each)).take(encoded.indices)
        wrong = np.array([rule is not None for _, rule in parsed], dtype=bool)[indices]
        return Column(
            each, stored, wrong, lambda row: str(distinct[indices[row]]), lambda row: str(parsed[indices[row]][1])
        )

    def _note(self, column: Column, where: np.ndarray, block: Block) -> None:
        """Put the faults of one column into the tally: all counted, the first ones kept with what may be shown."""
        by_rule = Counter(column.rule(row) for row in where)
        room = max(0, self.tally.limit - len(self.tally.faults))
        for row in where[:room]:
            rule = column.rule(row)
            by_rule[rule] -= 1
            text = shown(column.text(row), column.field, rule)
            self.tally.add(Fault(int(block.rows[row]), column.field.name, rule, text))
        for rule, count in by_rule.items():
            self.tally.totals[column.field.name, rule] += count


def _arrow_type(each: DeliveryField) -> Any:
    import pyarrow as pa

    kinds = {
        "date": pa.date32(), "decimal": pa.float64(), "integer": pa.int32(), "boolean": pa.bool_(),
        "presence": pa.bool_(), "industries": pa.list_(pa.string()), "municipalities": pa.list_(pa.string()),
    }  # fmt: skip
    return kinds.get(each.type, pa.string())


# One delivered table from text to the restricted database, all of it or nothing, and its receipt.


@dataclass(frozen=True)
class Table:
    """One table to take in: where it came from and how to read it. `label` is safe to print, `hint` is not."""

    label: str
    hint: str
    sha256: str
    sheet: str
    layout: Layout
    blocks: Callable[[], Iterator[Block]]
    formulas: int = 0


@dataclass(frozen=True)
class Intake:
    """Takes tables in: the keys, what the sender has said about municipality, kind and period, and the way they came.

    What came `from_folder` before is unchanged also when it was superseded since; by hand it can be delivered back.
    """

    keys: Keys
    municipality: str | None
    kind: str | None
    period: str | None
    people: Pseudonymiser = field(repr=False)
    from_folder: bool = False
    prepared: set[str] = field(default_factory=set, repr=False)

    @classmethod
    def checked(
        cls, keys: Keys, municipality: str | None, kind: str | None, period: str | None, *, from_folder: bool = False
    ) -> Intake:
        """Return an intake; UsageError when the municipality, kind or period given is unknown."""
        try:
            code = parse_municipality(clean(municipality)) if municipality else None
        except Wrong:
            near = suggest(municipality or "")
            hint = f"; did you mean {near[0]}?" if near else "; give its name or three-digit code"
            raise UsageError(f"--municipality {municipality}: not one of the 98 municipalities{hint}") from None
        if kind is not None and kind not in KINDS.values():
            raise UsageError(f"--kind {kind}: unknown; use one of {', '.join(KINDS.values())}")
        try:
            given = parse_period(clean(period)) if period else None
        except Wrong:
            raise UsageError(f"--period {period}: not a period; write 2016 or 2016K1") from None
        return cls(keys, code, kind, given, keys.pseudonymiser(), from_folder)

    def contracts(self) -> dict[str, Contract]:
        """Return the contracts a table may follow: the kind given, or all."""
        known = load_contracts()
        return known if self.kind is None else {self.kind: known[self.kind]}

    def take(self, table: Table, moment: datetime, synthetic: bool, warehouse: Warehouse, bounds: Bounds) -> Receipt:
        """Store the accepted rows of a table, or none of them, and return its receipt.

        A table of the same bytes as the delivery in force changes nothing.
        """
        outcome = Outcome(table.label, table.layout, self.keys.key_id, moment, synthetic, Tally(bounds.faults))
        try:
            require_complete(table.layout, table.label)
            blocks = table.blocks()
            first = next(blocks, None)
            self._name(outcome, table, first)
        except Refusal as refusal:
            return self._refuse(table, outcome, refusal, warehouse)
        contract = table.layout.contract
        outcome.content_id = self._content_id(table, outcome)
        known = self._known(warehouse, contract.kind, outcome.municipality, outcome.content_id, synthetic)
        if known is not None:
            return unchanged_receipt(known, table.label, contract)
        outcome.delivery_id = store.next_delivery_id(warehouse)
        if contract.table not in self.prepared:
            comments = {each.name: f"{each.label_da} / {each.label_en}" for each in contract.fields}
            store.prepare_table(warehouse, contract.table, contract.columns, comments)
            self.prepared.add(contract.table)
        if table.formulas:
            outcome.remark(
                f"Projektmappen indeholder {table.formulas} formler; de gemte værdier er brugt.",
                f"The workbook holds {table.formulas} formulas; their saved values were used.",
            )
        try:
            self._load(outcome, chain([first] if first else [], blocks), warehouse)
            self._judge(outcome, warehouse)
        except Refusal as refusal:
            outcome.refuse(refusal.text_da, refusal.text_en)
        current = store.current_delivery(
            warehouse, contract.kind, outcome.municipality, outcome.period, synthetic=synthetic
        )
        outcome.compare(current)
        line = self._line(outcome)
        with transaction(warehouse):
            if not outcome.refused:
                if current is not None:
                    supersede(warehouse, contract.table, current, line)
                store.store_incoming(warehouse, contract.table, line)
            store.enter(warehouse, line)
        warehouse.execute("DROP TABLE temp.incoming")
        return receipt_of(outcome)

    def _name(self, outcome: Outcome, table: Table, first: Block | None) -> None:
        """Settle municipality and period: what was given, else the data's first row, else the file's name."""
        code = (
            self.municipality or _first_value(first, "municipality", parse_municipality) or municipality_in(table.hint)
        )
        if code is None:
            raise Refusal(
                table.label,
                "Kommunen kan ikke genkendes; udfyld kolonnen Kommune, eller angiv den ved afsendelsen.",
                "the municipality cannot be told; fill in the column Kommune or give --municipality",
            )
        outcome.municipality, outcome.municipality_name = code, areas()[code].name_da
        outcome.period = self.period or _first_value(first, "period", parse_period) or period_in(table.hint)

    def _load(self, outcome: Outcome, blocks: Iterator[Block], warehouse: Warehouse) -> None:
        contract = outcome.contract
        expected = {"municipality": outcome.municipality, "period": outcome.period or ""}
        parser = Parser(
            outcome.layout, self.people, outcome.tally, {name: value for name, value in expected.items() if value}
        )
        store.begin_incoming(warehouse, contract.columns)
        # One block is stored while the next is read: DuckDB and Python then use a core each.
        with without_collector(), ThreadPoolExecutor(max_workers=1) as storing:
            stored: Future[None] | None = None
            held: pa.Table | None = None  # the newest block; a table of one block needs no thread
            for block in blocks:
                if stored is not None:
                    stored.result()
                if held is not None:
                    if stored is None:
                        store.use_all_threads(warehouse)
                    stored = storing.submit(store.add_incoming, warehouse, contract.columns, held)
                held = parser.typed(block)
            if stored is not None:
                stored.result()
            if held is not None:
                store.add_incoming(warehouse, contract.columns, held)

    def _judge(self, outcome: Outcome, warehouse: Warehouse) -> None:
        """Apply the rules over rows and the delivery as a whole; the rows that break a rule are taken out."""
        contract, tally, day = outcome.contract, outcome.tally, outcome.moment.date()
        rules = [RowRule(rule.id, rule.field, rule.breaks, rule.severity == "reject") for rule in contract.rules]
        informing = {rule.id for rule in contract.rules if rule.severity == "info"}
        room = max(0, tally.limit - len(tally.faults))
        broken = store.broken_rules(warehouse, rules, day, room)
        for rule, count, rows in broken:
            listed = [] if rule.id in informing else rows
            for row in listed:
                tally.add(Fault(row, rule.field, rule.id))
            tally.totals[rule.field, rule.id] += count - len(listed)
        repeated = store.duplicate_rows(warehouse, contract.key)
        for row in repeated:
            tally.add(Fault(row, "", "duplicate"))
        if repeated or any(rule.rejects for rule, _, _ in broken):
            tally.rejected += store.remove_incoming(warehouse, rules, repeated, day)
        outcome.accepted = store.count_incoming(warehouse)
        if "person_id" in contract.columns:
            outcome.persons = store.count_persons(warehouse)
        if outcome.period is None:
            newest = store.newest_date(warehouse, contract.period_field, day)
            if newest is not None:
                outcome.period = quarter_of(newest)
                if contract.field(contract.period_field).aspect != "about":
                    outcome.remark(
                        f"Perioden {outcome.period} er udledt af nyeste dato i leverancen.",
                        f"The period {outcome.period} was derived from the newest date in the delivery.",
                    )
        outcome.judge()

    def _refuse(self, table: Table, outcome: Outcome, refusal: Refusal, warehouse: Warehouse) -> Receipt:
        kind, municipality = outcome.contract.kind, outcome.municipality or None
        outcome.content_id = self._content_id(table, outcome)
        known = self._known(warehouse, kind, municipality, outcome.content_id, outcome.synthetic)
        if known is not None:
            return unchanged_receipt(known, table.label, outcome.contract)
        outcome.delivery_id = store.next_delivery_id(warehouse)
        outcome.refuse(refusal.text_da, refusal.text_en)
        store.enter(warehouse, self._line(outcome))
        return receipt_of(outcome)

    def _known(
        self, warehouse: Warehouse, kind: str, municipality: str | None, content_id: str, synthetic: bool
    ) -> Delivery | None:
        """Return the delivery that makes this content unchanged, if any; the ledger notes that it came this way too."""
        known = store.same_content(
            warehouse, kind, municipality, content_id, synthetic=synthetic, from_folder=self.from_folder
        )
        if known is not None and self.from_folder and not known.is_from_folder:
            store.mark_from_folder(warehouse, known)
        return known

    def _line(self, outcome: Outcome) -> Delivery:
        return replace(outcome.ledger_line(), is_from_folder=self.from_folder)

    def _content_id(self, table: Table, outcome: Outcome) -> str:
        contract = outcome.contract
        return self.keys.content_id(
            table.sha256, f"{table.sheet}:{contract.kind}:{contract.version}:{outcome.period or ''}"
        )

    def refuse_file(
        self, label: str, sha256: str, refusal: Refusal, moment: datetime, synthetic: bool, warehouse: Warehouse
    ) -> Receipt:
        """Enter a file that is no table of any kind into the ledger, once, and return its receipt."""
        content_id = self.keys.content_id(sha256, "file")
        known = self._known(warehouse, "unknown", self.municipality, content_id, synthetic)
        if known is not None:
            return unchanged_receipt(known, label, None)
        received_at = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        line = Delivery(
            store.next_delivery_id(warehouse), "unknown", self.municipality, self.period, received_at, content_id,
            0, self.keys.key_id, "afvist", 0, 0, 0, None, synthetic, is_from_folder=self.from_folder,
        )  # fmt: skip
        store.enter(warehouse, line)
        return Receipt(
            line.delivery_id,
            label,
            "afvist",
            received_at,
            municipality_code=self.municipality,
            municipality=areas()[self.municipality].name_da if self.municipality else "",
            period=self.period,
            remarks=(Remark(refusal.text_da, refusal.text_en),),
            is_synthetic=synthetic,
            key_id=self.keys.key_id,
        )


def _first_value(block: Block | None, name: str, parse: Callable[[str], str]) -> str | None:
    """Return the first readable value of a column in a block, or None."""
    if block is None or name not in block.columns:
        return None
    for text in block.columns[name].unique().to_pylist():
        try:
            return parse(clean(text))
        except Wrong:
            continue
    return None


log = logging.getLogger(__name__)
TAKEN_SUFFIXES = {".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".zip"}


@dataclass(frozen=True)
class Request:
    """What is known about a delivery beside its bytes. Codes and periods given here win over those in the file."""

    municipality: str | None = None
    kind: str | None = None
    period: str | None = None
    synthetic: bool = False
    received_at: datetime | None = None

    @property
    def moment(self) -> datetime:
        """Return the moment of receipt in UTC."""
        return (self.received_at or datetime.now(UTC)).astimezone(UTC)

    @property
    def day(self) -> date:
        """Return the day of receipt."""
        return self.moment.date()


def deliver(
    files: Iterable[Path],
    municipality: str | None,
    data_dir: Path,
    key_file: Path,
    *,
    kind: str | None = None,
    period: str | None = None,
    synthetic: bool = False,
    received_at: datetime | None = None,
    bounds: Bounds | None = None,
    from_folder: bool = False,
) -> list[Receipt]:
    """Receive files and return one receipt per table in them, each also written to `data/receipts`.

    With `from_folder` they lie in the drop folder: what came from there before changes nothing. They are left to their
    owner, since deleting personal data is the sender's act. A refused delivery is a receipt with the verdict «afvist»,
    not an error. Raises UsageError when the key is missing or open to others, the municipality, kind or period given
    is unknown, or the restricted database is in use.
    """
    files = list(files)
    for path in files:
        if not path.is_file():
            raise UsageError(f"{mask(str(path))}: no such file; nothing was received")
    request = Request(municipality, kind, period, synthetic, received_at)
    keys = load_keys(key_file, data_dir)
    intake = Intake.checked(keys, request.municipality, request.kind, request.period, from_folder=from_folder)
    receipts: list[Receipt] = []
    with (
        quietly("opening the restricted database"),
        open_restricted(data_dir / "restricted", keys.database_key) as warehouse,
    ):
        for path in files:
            for receipt in receive(path, request, intake, warehouse, bounds or Bounds()):
                folder = data_dir / "receipts"
                page = folder / f"{receipt.delivery_id}.html"
                if not (receipt.is_unchanged and page.exists()):  # the first receipt says more
                    page = write_receipt(receipt, folder)
                receipts.append(replace(receipt, path_html=str(page)))
                log.info("%s", receipt.line())
    return receipts


def receive(path: Path, request: Request, intake: Intake, warehouse: Warehouse, bounds: Bounds) -> Iterator[Receipt]:
    """Yield the receipt of each table in one file (a CSV, the sheets of a workbook, the members of a ZIP)."""
    label = mask(path.name)
    try:
        with quietly(f"receiving {label}"):
            parts = parts_of(path, bounds)
    except Refusal as refusal:
        yield intake.refuse_file(label, _hash(path), refusal, request.moment, request.synthetic, warehouse)
        return
    for part in parts:
        try:
            with quietly(f"receiving {part.label}"):
                tables = list(_tables(part, intake.contracts(), bounds))
        except Refusal as refusal:
            yield intake.refuse_file(part.label, part.sha256, refusal, request.moment, request.synthetic, warehouse)
            continue
        for table in tables:
            with quietly(f"receiving {table.label}"):
                yield intake.take(table, request.moment, request.synthetic, warehouse, bounds)


def _tables(part: Part, contracts: dict[str, Contract], bounds: Bounds) -> Iterator[Table]:
    if part.form == "csv":
        layout, delimiter, lines = read_layout(part, contracts.values(), bounds)
        yield Table(
            part.label, part.hint, part.sha256, "", layout, lambda: read_blocks(part, layout, delimiter, lines, bounds)
        )
        return
    workbook, formulas = open_workbook(part, bounds)
    found = 0
    for number, name in enumerate(sheets(workbook), start=1):
        sheet = read_sheet(workbook, name, part.label)
        layout_of_sheet = sheet_layout(sheet, contracts.values(), f"{part.hint} {name}")
        if layout_of_sheet is not None:
            found += 1
            label = f"{part.label}, ark/sheet {number}"

            def blocks(sheet: object = sheet, layout: Layout = layout_of_sheet) -> Iterator[Block]:
                return sheet_blocks(sheet, layout)  # type: ignore[arg-type]

            yield Table(label, part.hint, part.sha256, name, layout_of_sheet, blocks, formulas)
    if not found:
        raise Refusal(
            part.label,
            "Intet ark har en leverances overskrifter; brug skabelonen.",
            "no sheet has the headings of a delivery; use the template",
        )


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
