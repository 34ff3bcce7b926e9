"""Municipal deliveries: received, checked, pseudonymised, stored, and answered with a receipt.

No CPR number and no name leaves this package: not in the database, the receipts, the logs or an error.
One module, since a hand-in is all or nothing from its first byte to its line in the ledger.
"""

from __future__ import annotations

import gc
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.deliveries import store
from flows.deliveries.claims import Claims, claims_of, is_correction, periods_in, settle_municipality, settle_period
from flows.deliveries.contract import Refusal, Remark, RowFault, kind_named, load_contracts, remark_of, shown
from flows.deliveries.files import (
    FOOTER,
    Block,
    Layout,
    Part,
    Stranger,
    field_of,
    missing_fields,
    parts_of,
    read_blocks,
    read_layout,
    refuse_unread,
    require_complete,
)
from flows.deliveries.keys import Keys, Pseudonymiser, load_keys, mask, why_no_cpr
from flows.deliveries.receipts import (
    TABLE_STEP,
    VERDICT_EN,
    DeliveryOutcome,
    Receipt,
    RowTally,
    receipt_for,
    receipt_of,
    write_receipt,
)
from flows.deliveries.sheets import Book, open_book, sheet_blocks, sheet_layout, sheet_remarks
from flows.deliveries.store import Delivery, hide_unforeseen, open_restricted, supersede
from flows.deliveries.values import (
    MISSING,
    Parsed,
    clean,
    is_error,
    parse_municipality,
    parse_stated_period,
    parser_of,
    read_by,
    rejects,
    suggested_industry,
)
from transforms.areas import suggest
from transforms.catalogue import Contract, DeliveryField
from transforms.errors import KommunekortError, UsageError
from transforms.machine import ahead
from transforms.periods import span, utc_text
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


# Guards around taking a delivery in: no data in errors, no pauses.


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
class FieldColumn:
    """One field's column read: what is stored of it, which rows are wrong or noted, and of a row its text and rule."""

    field: DeliveryField
    stored: dict[str, pa.Array]
    wrong: np.ndarray
    noted: np.ndarray
    told: Callable[[int], tuple[str, str]]


class Parser:
    """Reads the blocks of one table. `expected` is field name -> value every row must have, where it has one.

    `base` is added to its row numbers, which tells the tables of one delivery apart.
    """

    def __init__(self, layout: Layout, people: Pseudonymiser, tally: RowTally, expected: dict[str, str], base: int = 0):
        self.layout = layout
        self.tally = tally
        self._people = people
        self._expected = expected
        self._base = base
        self._fields = [layout.contract.field(name) for name in layout.positions]
        self._parse: dict[str, Callable[[str], Parsed]] = {
            each.name: lru_cache(maxsize=REMEMBERED)(parser_of(each)) for each in self._fields if each.type != "cpr"
        }

    def typed(self, block: Block) -> pa.Table:
        """Return the accepted rows of a block: `row_number`, the stored columns, and `birth_date` for deriving ages.

        Every row that is not there is in the tally: rejected with its faults, blank, or a line that is no row.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        for row in block.misshapen:
            self.tally.add(RowFault(row + self._base, "", "cut_off" if row == block.cut_row else "row_shape"))
        self.tally.rows_in += len(block.misshapen)
        self.tally.rejected += len(block.misshapen)

        good = np.ones(len(block.rows), dtype=bool)
        filled = np.zeros(len(block.rows), dtype=bool)
        keyless = np.ones(len(block.rows), dtype=bool)  # no required field can be read
        found: dict[str, pa.Array] = {}
        columns: list[FieldColumn] = []
        for each in self._fields:
            texts = block.columns[each.name]
            if not filled.all():
                filled |= pc.not_equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False)
            column = self._people_in(each, texts) if each.type == "cpr" else self._values_in(each, texts)
            if column.wrong.any() or column.noted.any():
                columns.append(column)
            if each.required:
                keyless &= column.wrong
            good &= ~column.wrong
            found |= column.stored
        notes = self._lines_that_are_no_rows(block, np.flatnonzero(keyless & filled))
        self.tally.notes += [row + self._base for row in (*block.notes, *block.rows[notes].tolist())]
        filled[notes] = False
        if block.cut_row is not None and block.cut_row not in block.misshapen:
            self.tally.add(RowFault(block.cut_row + self._base, "", "cut_off"))
            good[block.rows == block.cut_row] = False
        for column in columns:
            self._note(column, np.flatnonzero(column.wrong & filled), block)
            self._note(column, np.flatnonzero(column.noted & filled & good), block)
        blank = int((~filled).sum()) - len(notes)
        self.tally.blank += blank + block.blank
        self.tally.rows_in += int(filled.sum())
        self.tally.rejected += int((filled & ~good).sum())
        self.tally.ends_open |= block.ends_open
        table = pa.table({"row_number": pa.array(block.rows + self._base), **found})
        keep = good & filled
        return table if keep.all() else table.filter(pa.array(keep))

    def _lines_that_are_no_rows(self, block: Block, where: np.ndarray) -> list[int]:
        """Return the places in a block of lines such as «I alt», «Kilde: …» and the heading written once more."""
        found: list[int] = []
        for place in where.tolist():
            texts = [clean(str(block.first[place].as_py()))]
            texts += [clean(str(block.columns[each.name][place].as_py())) for each in self._fields]
            filled = [text for text in texts if text]
            headings = [each for each, text in zip(self._fields, texts[1:], strict=True)
                        if text and field_of(text, self.layout.contract) is each]  # fmt: skip
            if len(headings) > 1 or (filled and FOOTER.match(filled[0])):
                found.append(place)
        return found

    def _read(self, each: DeliveryField, text: str) -> Parsed:
        value, rule = self._parse[each.name](text)
        if rule is None and value is not None and self._expected.get(each.name, value) != value:
            return None, f"other_{each.type}"
        return value, rule

    def _people_in(self, each: DeliveryField, texts: pa.StringArray) -> FieldColumn:
        """Read CPR numbers, all at once: they hardly repeat within a block."""
        import numpy as np

        people = self._people.people(texts, clean)
        stored: dict[str, pa.Array] = {"person_id": people.person_id}
        if "sex_code" in self.layout.contract.columns:
            stored |= {name: getattr(people, name) for name in ("birth_date", "sex_code", "is_modulus11")}

        def told(row: int) -> tuple[str, str]:
            text = str(texts[row].as_py())
            plain = clean(text)
            if plain.casefold() in MISSING:
                return text, "required"
            return text, "error_value" if is_error(plain) else "formula" if plain[0] in "=@" else why_no_cpr(plain)

        wrong = people.person_id.is_null().to_numpy(zero_copy_only=False)
        return FieldColumn(each, stored, wrong, np.zeros_like(wrong), told)

    def _values_in(self, each: DeliveryField, texts: pa.StringArray) -> FieldColumn:
        """Read any other field: each distinct text once."""
        import numpy as np
        import pyarrow as pa

        encoded = texts.dictionary_encode()
        distinct, indices = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        parsed = [self._read(each, text) for text in distinct]
        stored = {}
        if each.type not in ("municipality", "period"):
            stored[each.name] = pa.array([value for value, _ in parsed], _arrow_type(each)).take(encoded.indices)
        wrong = np.array([rejects(rule) for _, rule in parsed], dtype=bool)[indices]
        noted = np.array([rule is not None and not rejects(rule) for _, rule in parsed], dtype=bool)[indices]
        return FieldColumn(
            each, stored, wrong, noted, lambda row: (distinct[indices[row]], str(parsed[indices[row]][1]))
        )

    def _note(self, column: FieldColumn, where: np.ndarray, block: Block) -> None:
        """Put what one column tells into the tally: every row, and of the first ones what may be shown."""
        for row in where.tolist():
            text, rule = column.told(row)
            safe = shown(text, column.field, rule) if self.tally.has_room else ""
            if rule == "industry" and safe and (meant := suggested_industry(clean(text))):
                safe += f": måske/perhaps {meant}"
            self.tally.add(RowFault(int(block.rows[row]) + self._base, column.field.name, rule, safe))


def _arrow_type(each: DeliveryField) -> Any:
    import pyarrow as pa

    kinds = {
        "date": pa.date32(), "decimal": pa.float64(), "integer": pa.int32(), "boolean": pa.bool_(),
        "presence": pa.bool_(), "industries": pa.list_(pa.string()), "municipalities": pa.list_(pa.string()),
    }  # fmt: skip
    return kinds.get(each.type, pa.string())


# One hand-in from text to the restricted database, all of each delivery or nothing, and its receipts.


SHRUNK, GONE = 0.5, 0.05
"""Below this share of the former delivery's rows or persons, and above this share of rows gone, is asked about it."""


@dataclass(frozen=True)
class DeliveredTable:
    """One table to take in: where it came from and how to read it. `label` is safe to print, `hint` is not."""

    label: str
    hint: str
    sha256: str
    size: int
    sheet: str
    layout: Layout
    blocks: Callable[[], Generator[Block]]
    remarks: tuple[Remark, ...] = ()

    @property
    def kind(self) -> str:
        """Return the kind of delivery the table follows."""
        return self.layout.contract.kind


@dataclass(frozen=True)
class Read:
    """The accepted rows of a table as typed, their tally and claims; `given` is what every row was held against."""

    claims: Claims
    given: Mapping[str, str]
    rows: pa.Table
    tally: RowTally
    accepted: int
    persons: int | None


@dataclass(frozen=True)
class Request:
    """What is said of a hand-in: when it came, whether it is invented, its municipality, kind and period, its way.

    What came `from_folder` before is unchanged also when it was superseded since; by hand it can be delivered back.
    """

    synthetic: bool = False
    received_at: datetime | None = None
    municipality: str | None = None
    kind: str | None = None
    period: str | None = None
    from_folder: bool = False
    folder: Path | None = None

    @property
    def moment(self) -> datetime:
        """Return the moment of receipt in UTC."""
        return (self.received_at or datetime.now(UTC)).astimezone(UTC)

    def checked(self) -> Request:
        """Return the request with codes for words; UsageError when its municipality, kind or period is unknown."""
        code = period = None
        if self.municipality and (code := read_by(parse_municipality, clean(self.municipality))) is None:
            near = suggest(self.municipality)
            hint = f"; did you mean {near[0]}?" if near else "; give its name or three-digit code"
            raise UsageError(f"--municipality {self.municipality}: not one of the 98 municipalities{hint}")
        if self.period and (period := read_by(parse_stated_period, clean(self.period))) is None:
            raise UsageError(f"--period {self.period}: not a period; write 2016 or 2016K1")
        kind = kind_named(self.kind, "--kind") if self.kind is not None else None
        return replace(self, municipality=code, kind=kind, period=period)

    def contracts(self) -> dict[str, Contract]:
        """Return the contracts a table may follow: the kind given, or all."""
        known = load_contracts()
        return known if self.kind is None else {self.kind: known[self.kind]}


@dataclass
class Intake:
    """Takes the tables of a hand-in: what has been read `ahead`, and the tables of the database that are `prepared`."""

    keys: Keys
    request: Request
    people: Pseudonymiser = field(init=False, repr=False)
    prepared: set[str] = field(default_factory=set, repr=False)
    ahead: dict[int, Future[Read | None]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.people = self.keys.pseudonymiser()

    def take(
        self,
        tables: Sequence[DeliveredTable],
        warehouse: Warehouse,
        remarks: Sequence[Remark] = (),
        unreadable: Refusal | None = None,
    ) -> Receipt:
        """Store the accepted rows of tables that belong together, or none of them, and return their receipt.

        Tables of the same bytes as the delivery in force change nothing. `unreadable` refuses them all: a table of the
        same kind in the same hand-in could not be read, and half of a delivery must not stand for the whole.
        """
        contract = tables[0].layout.contract
        outcome = self._outcome(tables)
        outcome.remarks += [*remarks, *(remark for table in tables for remark in table.remarks)]
        read = self._read_ahead(tables[0])
        refusal = None
        try:
            claims, blocks = self._begin(outcome, tables, unreadable, read)
        except Refusal as error:
            refusal = error
            self._identify(outcome, tables, "")
        known = store.received_before(warehouse, outcome.ledger_line())
        if known is not None:
            return receipt_for(known, outcome.label, contract, is_unchanged=True)
        outcome.delivery_id = store.next_delivery_id(warehouse)
        if refusal is not None:
            outcome.refuse(refusal.remark)
            store.enter(warehouse, outcome.ledger_line())
            return receipt_of(outcome)
        if contract.table not in self.prepared:
            comments = {each.name: f"{each.label_da} / {each.label_en}" for each in contract.fields}
            with warehouse.transaction():
                store.prepare_table(warehouse, contract.table, store.OF_EVERY_ROW | contract.columns, comments)
            self.prepared.add(contract.table)
        try:
            store.begin_incoming(warehouse, contract.columns)
            if read is not None and read.given == outcome.given:
                outcome.tally, outcome.accepted, outcome.persons = read.tally, read.accepted, read.persons
                store.put_incoming(warehouse, contract.columns, read.rows)
            else:
                for number, table in enumerate(tables):
                    self._load(outcome, table, number, blocks, warehouse)
                self._judge(outcome, warehouse, partial(store.remove_incoming, warehouse))
            newest = store.newest_date(warehouse, contract.period_field, outcome.moment.date())
            settle_period(outcome, self.request.period, claims, newest)
        except Refusal as error:
            outcome.refuse(error.remark)
        outcome.judge()
        current = self._replaced(outcome, tables, warehouse)
        self._compare(outcome, current, warehouse)
        line = outcome.ledger_line()
        with warehouse.transaction():
            if not outcome.refused:
                if current is not None:
                    supersede(warehouse, contract.table, current, line)
                store.store_incoming(warehouse, contract.table, line)
            store.enter(warehouse, line)
        store.end_incoming(warehouse)
        return receipt_of(outcome)

    def _begin(
        self,
        outcome: DeliveryOutcome,
        tables: Sequence[DeliveredTable],
        unreadable: Refusal | None = None,
        read: Read | None = None,
    ) -> tuple[list[Claims], Iterator[Block] | None]:
        """Return what tables say of themselves, and the blocks of a table that is alone.

        The municipality and a period that is stated are settled and the delivery identified. Raises Refusal.
        """
        peeked = tables[0].blocks() if len(tables) == 1 and read is None else None
        for table in tables if unreadable is None else ():
            require_complete(table.layout)
        first = next(peeked, None) if peeked else None
        if read is not None:
            claims = [read.claims]
        else:
            claims = [claims_of(tables[0].hint, first)] if peeked else [_peek(table) for table in tables]
        if all(one.is_empty for one in claims):
            raise Refusal("no_rows")
        settle_municipality(outcome, self.request.municipality, claims)
        if unreadable is not None:
            raise unreadable
        stated = (one.stated_period for one in claims if one.stated_period)
        outcome.stated_period = self.request.period or next(stated, None)
        named = [period for one in claims for period in one.named_periods]
        self._identify(outcome, tables, outcome.stated_period or (named[0].period if named else ""))
        return claims, chain([first] if first else [], peeked) if peeked else None

    def read(self, table: DeliveredTable, known: Collection[str], scratch: Warehouse) -> Read | None:
        """Return the rows of a table that is a delivery by itself, read and judged; None when it is in the ledger.

        None as well for what is refused: that is told when the table is taken.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        outcome = self._outcome([table])
        columns = outcome.contract.columns
        try:
            claims, blocks = self._begin(outcome, [table])
            if outcome.content_id in known:
                return None
            parser = Parser(table.layout, self.people, outcome.tally, outcome.given)
            with without_collector():
                rows = pa.concat_tables([parser.typed(block) for block in blocks or ()])

            def remove(rejected: Collection[int]) -> None:
                nonlocal rows
                rows = rows.filter(pc.invert(pc.is_in(rows["row_number"], pa.array(rejected, pa.int64()))))
                store.put_incoming(scratch, columns, rows)

            store.put_incoming(scratch, columns, rows)
            self._judge(outcome, scratch, remove)
            store.end_incoming(scratch)
            return Read(claims[0], outcome.given, rows, outcome.tally, outcome.accepted, outcome.persons)
        except KommunekortError:
            return None

    def _outcome(self, tables: Sequence[DeliveredTable]) -> DeliveryOutcome:
        layouts, labels = [table.layout for table in tables], [table.label for table in tables]
        request = self.request
        return DeliveryOutcome(
            layouts, labels, self.keys.key_id, request.moment, request.synthetic, request.from_folder
        )

    def _load(
        self,
        outcome: DeliveryOutcome,
        table: DeliveredTable,
        number: int,
        blocks: Iterator[Block] | None,
        warehouse: Warehouse,
    ) -> None:
        """Put the rows of one table that can be read among those waiting."""
        columns = outcome.contract.columns
        parser = Parser(table.layout, self.people, outcome.tally, outcome.given, number * TABLE_STEP)
        # One block is stored while the next is read: DuckDB and Python then use a core each.
        with without_collector(), closing(ahead(parser.typed, blocks or table.blocks())) as typed:
            for stored, rows in enumerate(typed):
                if stored == 1:
                    warehouse.execute("SET threads = 2")  # a large delivery is judged and stored on both
                store.add_incoming(warehouse, columns, rows)

    def _read_ahead(self, table: DeliveredTable) -> Read | None:
        """Return what another process has read of a table; None when it has not, or has ended over it."""
        reading = self.ahead.pop(id(table), None)
        with suppress(BrokenExecutor):
            return reading.result() if reading else None
        return None

    def _judge(self, outcome: DeliveryOutcome, warehouse: Warehouse, remove: Callable[[Collection[int]], None]) -> None:
        """Apply the rules over rows; those that break a rule are taken out."""
        contract, tally = outcome.contract, outcome.tally
        broken = store.broken_rules(warehouse, contract.rules, outcome.moment.date())
        for rule, count, rows in broken:
            for row in rows:
                tally.add(RowFault(row, rule.field, rule.id))
            tally.totals[rule.field, rule.id] += count - len(rows)
        repeated = store.duplicate_rows(warehouse, contract.key)
        for row in repeated:
            tally.add(RowFault(row, "", "duplicate"))
        rejected = {*repeated, *(row for rule, _, rows in broken if rule.severity == "reject" for row in rows)}
        if rejected:
            remove(rejected)
            tally.rejected += len(rejected)
        outcome.accepted, outcome.persons = store.count_incoming(warehouse, contract.columns)

    def _replaced(
        self, outcome: DeliveryOutcome, tables: Sequence[DeliveredTable], warehouse: Warehouse
    ) -> Delivery | None:
        """Return the delivery in force that this one replaces.

        That is the one of its own period. Where nobody stated the period, a correction may have moved it with the rows:
        then it is the newest one, when the name says it is corrected or neither period was stated.
        """
        current = store.current_delivery(warehouse, outcome.ledger_line())
        if current is not None or outcome.period is None or outcome.period_source in ("stated", "name"):
            return current
        newest = store.newest_in_force(warehouse, outcome.ledger_line())
        if newest is None:
            return None
        not_before = store.told_until(newest) >= min(span(outcome.period)[1], outcome.moment.date())
        if any(is_correction(table.hint) for table in tables) or (
            outcome.period_source == "rows" and newest.period_source == "rows" and not_before
        ):
            outcome.remark("replaces", delivery_id=newest.delivery_id, period=newest.period)
            return newest
        return None

    def _compare(self, outcome: DeliveryOutcome, current: Delivery | None, warehouse: Warehouse) -> None:
        """Hold a delivery against the one it replaces, or else the newest one before: columns, rows and persons."""
        outcome.previous = current
        former = current or store.newest_in_force(warehouse, outcome.ledger_line())
        if former is None or outcome.refused:
            return
        contract = outcome.contract
        names = [each.name for each in contract.fields if each.name in contract.columns]
        moved, gone = store.differences(warehouse, contract.table, contract.key, names, former)
        if moved:
            columns = ", ".join(f"«{contract.field(name).label_da}»" for name in moved)
            outcome.remark("columns_changed", columns=columns)
        if current is None:
            return
        kept = store.count_shared_persons(warehouse, contract.table, current) if current.persons else 0
        if outcome.accepted < SHRUNK * current.rows_accepted:
            outcome.remark("shrunk", rows=outcome.accepted, before=current.rows_accepted)
        elif kept < SHRUNK * (current.persons or 0):
            outcome.remark("few_of_the_persons")
        elif gone > GONE:
            outcome.remark("rows_gone", gone=gone)

    def _identify(self, outcome: DeliveryOutcome, tables: Sequence[DeliveredTable], period: str) -> None:
        """Give a delivery the keyed hash of its bytes, and of each of its tables."""
        outcome.content_id = self._content_id(tables, period)
        parts = [self._content_id([table], period) for table in tables]
        outcome.part_ids = ",".join(parts) if len(parts) > 1 else None

    def _content_id(self, tables: Sequence[DeliveredTable], period: str) -> str:
        contract = tables[0].layout.contract
        sha256 = ",".join(sorted(table.sha256 for table in tables))
        sheet = ",".join(sorted(table.sheet for table in tables))
        return self.keys.content_id(sha256, f"{sheet}:{contract.kind}:{contract.version}:{period}")

    def refuse_file(self, stranger: Stranger, warehouse: Warehouse) -> Receipt:
        """Enter a file that is no table of any kind into the ledger, once, and return its receipt."""
        request, content_id = self.request, self.keys.content_id(stranger.sha256, "file")
        line = Delivery(
            store.next_delivery_id(warehouse), "unknown", request.municipality, request.period,
            utc_text(request.moment), content_id, 0, self.keys.key_id, "afvist", 0, 0, 0, None, request.synthetic,
            is_from_folder=request.from_folder,
        )  # fmt: skip
        known = store.received_before(warehouse, line)
        if known is not None:
            return receipt_for(known, stranger.label, is_unchanged=True)
        store.enter(warehouse, line)
        return receipt_for(line, stranger.label, kind=None, contract_version=None, remarks=(stranger.refusal.remark,))


def _peek(table: DeliveredTable) -> Claims:
    """Return what a table says about itself, reading its first block only."""
    with closing(table.blocks()) as blocks:
        return claims_of(table.hint, next(blocks, None))


log = logging.getLogger(__name__)


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
    from_folder: bool = False,
    folder: Path | None = None,
    workers: int = 1,
) -> list[Receipt]:
    """Receive files and return one receipt per delivery in them, each also written to `data/receipts`.

    Files given together are one hand-in: tables of one kind, municipality and period in it are one delivery. With
    `from_folder` they lie in the drop folder (`folder`, whose subfolders may be named by municipality): those that hold
    other persons are one delivery, one that holds the same is a later version of it; what came from there before
    changes nothing, and the trouble of one stays its own. They are left to their owner, since deleting personal data is
    the sender's act. With several `workers` as many processes read and judge files, and this one stores them.
    A refused delivery is a receipt with the verdict «afvist», not an error. Raises UsageError when the key is missing
    or open to others, the municipality, kind
    or period given is unknown, or the restricted database is in use.
    """
    files = list(files)
    for path in files:
        if not from_folder and not path.is_file():
            raise UsageError(f"{mask(str(path))}: no such file; nothing was received")
    said = Request(synthetic, received_at, municipality, kind, period, from_folder, folder)
    keys = load_keys(key_file, data_dir)
    intake = Intake(keys, said.checked())
    receipts: list[Receipt] = []
    with (
        hide_unforeseen("opening the restricted database"),
        open_restricted(data_dir / "restricted", keys.database_key) as warehouse,
        readers(intake, (key_file, data_dir), store.known_content(warehouse), workers, len(files)) as pool,
    ):
        for receipt in receive(files, intake, warehouse, pool):
            page = data_dir / "receipts" / f"{receipt.delivery_id}.html"
            if not (receipt.is_unchanged and page.exists()):  # the first receipt says more
                page = write_receipt(receipt, data_dir / "receipts")
            receipts.append(replace(receipt, path_html=str(page)))
            # A log is read by more than the municipality: no counts of rows, which are persons, nor of faults.
            log.info("%s %s: %s", receipt.delivery_id, receipt.file, VERDICT_EN[receipt.verdict])
    return receipts


def _failed(error: KommunekortError, label: str, path: Path, request: Request) -> Receipt:
    """Return the receipt of a file on which the program itself fails; no ledger holds it, so it is tried again.

    What the user can mend is raised, and everything where the file is not one of a drop folder.
    """
    if isinstance(error, UsageError) or not request.from_folder:
        raise error
    log.error("%s", error)
    return Receipt(
        "F" + hashlib.sha256(str(path).encode()).hexdigest()[:8], label, "afvist", utc_text(request.moment),
        is_synthetic=request.synthetic, remarks=(remark_of("program_failed"),),
    )  # fmt: skip


class HandIn(NamedTuple):
    """Tables of one file or hand-in, and the files beside them that could not be read."""

    tables: list[DeliveredTable]
    strangers: list[Stranger]


def receive(
    files: Sequence[Path], intake: Intake, warehouse: Warehouse, pool: Readers | None = None
) -> Iterator[Receipt]:
    """Yield the receipts of files: one per delivery in their sheets and ZIP members, and per unread file.

    Of those from the drop folder, one on which the program itself fails is answered too, and leaves the others be.
    """
    opened: list[HandIn] = []
    for path in files:
        try:
            opened.append(_open(path, intake.request))
        except KommunekortError as error:
            yield _failed(error, mask(path.name), path, intake.request)
    if intake.request.from_folder:
        units = [HandIn(group, one.strangers) for one in opened for group in belonging_together(one.tables, intake)]
        hand_ins = together_in_folder(units, intake)
    else:
        unread = [stranger for one in opened for stranger in one.strangers]
        tables = _distinct([table for one in opened for table in one.tables])
        hand_ins = [HandIn(group, unread) for group in belonging_together(tables, intake)]
    alone = [group[0] for group, _ in hand_ins if len(group) == 1]
    prepare = pool.reading(alone) if pool else lambda _: None
    yield from _taken(hand_ins, intake, warehouse, prepare)
    for one in opened:
        for stranger in one.strangers:
            yield intake.refuse_file(stranger, warehouse)


LEAST_FILES, MOST_BYTES = 8, 64 * 2**20
"""Fewer files are not worth a process; of a larger one the rows are stored while the next are read."""


@dataclass(frozen=True)
class Readers:
    """Processes that read tables, `ahead` of the one that takes them, which is one of their `number` and reads as well.

    `here` is what it reads with. What is read waits in memory: of every process at most four tables.
    """

    pool: ProcessPoolExecutor
    number: int
    here: Reader

    def reading(self, tables: Sequence[DeliveredTable]) -> Callable[[DeliveredTable], None]:
        """Return what is to be called before each is taken: it has the next ones read, here too until that is ready."""
        found = [table for table in tables if table.size <= MOST_BYTES]
        waiting = deque(found if len(found) >= LEAST_FILES else [])
        ahead = self.here[0].ahead

        def prepare(taken: DeliveredTable) -> None:
            while waiting and len(ahead) < 4 * self.number:
                awaited, busy = ahead.get(id(taken)), sum(not each.done() for each in ahead.values())
                if busy > self.number and (awaited is None or awaited.done()):
                    return
                table = waiting.popleft()
                if busy > self.number:
                    ahead[id(table)] = Future()
                    ahead[id(table)].set_result(_read_table(table, self.here))
                    continue
                with suppress(BrokenExecutor):  # one of them has ended: the rest is read in its turn
                    ahead[id(table)] = self.pool.submit(_read_table, table)

        return prepare


@contextmanager
def readers(
    intake: Intake, sources: tuple[Path, Path], known: Collection[str], number: int, files: int
) -> Iterator[Readers | None]:
    """Start what makes `number` processes with this one; they load the key themselves. None when one is wanted.

    `sources`: the key file and the data folder.
    """
    if number == 1:
        yield None
        return
    beside, begin = number - 1, (sources, known, intake.request)
    with (
        store.open_scratch(sources[1] / "restricted") as scratch,
        ProcessPoolExecutor(beside, get_context("spawn"), _begin_reading, begin) as pool,
    ):
        for _ in range(beside if files >= LEAST_FILES else 0):
            pool.submit(int)  # they start while the files are opened
        try:
            yield Readers(pool, number, (intake, known, scratch))
        finally:
            for reading in intake.ahead.values():
                reading.cancel()


Reader = tuple[Intake, Collection[str], Warehouse]
"""Who reads, the contents that are known, and a database in memory."""
_reader: list[Reader] = []
_open_in_reader = ExitStack()


def _begin_reading(sources: tuple[Path, Path], known: Collection[str], request: Request) -> None:
    """Make a process ready to read tables: it has its own keys, and a database in memory for as long as it lasts."""
    scratch = _open_in_reader.enter_context(store.open_scratch(sources[1] / "restricted"))
    _reader[:] = [(Intake(load_keys(*sources), request), known, scratch)]


def _read_table(table: DeliveredTable, reader: Reader | None = None) -> Read | None:
    """Return the rows of a table, or None when whoever takes it has to look for itself."""
    intake, known, scratch = reader or _reader[0]
    with suppress(KommunekortError), hide_unforeseen(f"receiving {table.label}"):
        return intake.read(table, known, scratch)
    return None


def _taken(
    hand_ins: Sequence[HandIn], intake: Intake, warehouse: Warehouse, prepare: Callable[[DeliveredTable], None]
) -> Iterator[Receipt]:
    """Yield the receipts of hand-ins, each taken in its turn while others are read."""
    for group, strangers in hand_ins:
        prepare(group[0])
        beside = [remark_of("another_file_unread", file=stranger.label) for stranger in strangers]
        lacking = [(table, ", ".join(names)) for table in group if (names := missing_fields(table.layout))]
        unreadable = None
        if lacking and len(group) > 1:
            unreadable = Refusal("half_of_a_delivery", file=lacking[0][0].label, names=lacking[0][1])
        try:
            with hide_unforeseen(f"receiving {group[0].label}"):
                yield intake.take(group, warehouse, beside, unreadable)
        except KommunekortError as error:
            label = " + ".join(table.label for table in group)
            yield _failed(error, label, Path(group[0].hint), intake.request)


def _distinct(tables: Sequence[DeliveredTable]) -> list[DeliveredTable]:
    """Return the tables without copies of the same bytes."""
    return list({(table.sha256, table.sheet, table.kind): table for table in reversed(tables)}.values())[::-1]


Key = tuple[bool, str, str | None, str | None]
"""What tables of one delivery share: whether they correct another, their kind, municipality and period."""


def belonging_together(tables: Sequence[DeliveredTable], intake: Intake) -> list[list[DeliveredTable]]:
    """Return the tables of a hand-in as deliveries: those of one kind, municipality and period are one.

    A table that names no period goes with the others of its kind and municipality. One whose name says that it corrects
    another stands for itself, and comes last.
    """
    if len(tables) == 1:
        return [list(tables)]
    keys = _joined_keys([_key(table, intake) for table in tables])
    groups: dict[Key, list[DeliveredTable]] = {}
    for key, table in zip(keys, tables, strict=True):
        groups.setdefault(key, []).append(table)
    return sorted(groups.values(), key=lambda group: is_correction(group[0].hint))


def _key(table: DeliveredTable, intake: Intake) -> Key:
    with hide_unforeseen(f"receiving {table.label}"):
        claims = claims_of(table.hint, None)
        if {"municipality", "period"} & table.layout.positions.keys():
            with suppress(Refusal):  # told again, with its receipt, when the table is taken
                claims = _peek(table)
    named = claims.named_municipality
    code = intake.request.municipality or next((code for code, _ in claims.municipalities.most_common(1)), None)
    return is_correction(table.hint), table.kind, code or (named.code if named else None), claims.sign


def _joined_keys(keys: Sequence[Key]) -> list[Key]:
    """Return the keys, those without a period as the one other that differs in nothing else, when there is one."""
    found = list(keys)
    for number, key in enumerate(keys):
        others = {other for other in keys if other[:3] == key[:3] and other[3] is not None}
        if key[3] is None and len(others) == 1:
            found[number] = others.pop()
    return found


def together_in_folder(units: Sequence[HandIn], intake: Intake) -> list[HandIn]:
    """Return the tables of a drop folder as deliveries, in the order they are received.

    Two teams lay their files side by side: those of one kind, municipality and period that hold other persons are one
    delivery. One that shares half of its persons or more with an earlier one is its later version and replaces it.
    """
    keys = _joined_keys([(False, *_key(tables[0], intake)[1:]) for tables, _ in units])
    ends: dict[int, list[int]] = {}
    for key in dict.fromkeys(keys):
        alike = [number for number, other in enumerate(keys) if other == key]
        whole = [number for number in alike if not any(missing_fields(table.layout) for table in units[number].tables)]
        for number in alike:
            ends[number] = [number]
        if len(whole) > 1 and key[2] is not None:
            subjects = {number: _subjects(units[number].tables, intake) for number in whole}
            standing: list[int] = []
            for number in whole:
                standing = [one for one in standing if not _is_version(subjects[number], subjects[one])]
                standing.append(number)
            for number in standing[:-1]:
                del ends[number]
            ends[standing[-1]] = standing
    return [
        HandIn(
            [table for number in ends[end] for table in units[number].tables],
            [stranger for number in ends[end] for stranger in units[number].strangers],
        )
        for end in sorted(ends)
    ]


def _is_version(later: set[str], earlier: set[str]) -> bool:
    """Tell whether a file is a later version of another: of the smaller of both, half or more is in both."""
    return len(later & earlier) >= SHRUNK * min(len(later), len(earlier))


def _subjects(tables: Sequence[DeliveredTable], intake: Intake) -> set[str]:
    """Return whom some tables are about: their persons by pseudonym, else the answers by their key."""
    found: set[str] = set()
    for table in tables:
        contract = table.layout.contract
        names = [name for name in table.layout.positions if contract.field(name).type == "cpr"]
        keyed = names or [name for name in contract.key if name in table.layout.positions]
        with suppress(Refusal), hide_unforeseen(f"receiving {table.label}"):  # told when the table is taken
            for block in table.blocks():
                if names:
                    ids = intake.people.people(block.columns[names[0]], clean).person_id.to_pylist()
                    found.update(filter(None, ids))
                else:
                    rows = zip(*(block.columns[name].to_pylist() for name in keyed), strict=True)
                    found.update("\t".join(map(clean, row)) for row in rows)
    return found


def _open(path: Path, request: Request) -> HandIn:
    """Return the tables and the other files in one file of a hand-in."""
    label = mask(path.name)
    try:
        with hide_unforeseen(f"receiving {label}"):
            if request.from_folder:
                refuse_unread(path)
            hint = str(path.relative_to(request.folder)) if request.folder else path.name
            parts, strangers = parts_of(path, hint)
    except Refusal as refusal:
        return HandIn([], [Stranger(label, refusal, _hash(path))])
    tables: list[DeliveredTable] = []
    for part in parts:
        try:
            with hide_unforeseen(f"receiving {part.label}"):
                tables += _tables(part, request.contracts())
        except Refusal as refusal:
            strangers.append(Stranger(part.label, refusal, part.sha256))
    # A letter or a readme beside a table is named with the table; it needs no receipt of its own.
    beside = [stranger for stranger in strangers if tables and not stranger.refusal.is_table]
    told = [remark_of("no_table_beside", file=stranger.label) for stranger in beside]
    return HandIn(
        [replace(table, remarks=(*table.remarks, *told)) for table in tables],
        [stranger for stranger in strangers if stranger not in beside],
    )


def _tables(part: Part, contracts: dict[str, Contract]) -> Iterator[DeliveredTable]:
    if part.form == "csv":
        layout, delimiter, lines = read_layout(part, contracts.values())
        yield DeliveredTable(
            part.label, part.hint, part.sha256, part.size, "", layout,
            partial(read_blocks, part, layout, delimiter, lines), part.remarks,
        )  # fmt: skip
        return
    book = open_book(part)
    remarks = [*part.remarks, *_remarks_on(book, part, contracts)]
    found = 0
    for sheet in book.sheets:
        hint = f"{part.hint}/{sheet.name}" if periods_in(sheet.name) else part.hint
        layout_of_sheet = sheet_layout(sheet, contracts.values(), f"{part.hint} {sheet.name}")
        if layout_of_sheet is not None:
            found += 1
            label = f"{part.label}, ark/sheet {sheet.number}"
            told = (*remarks, *sheet_remarks(sheet, layout_of_sheet))
            blocks = partial(_blocks_of_sheet, part, sheet.number, layout_of_sheet)
            yield DeliveredTable(label, hint, part.sha256, part.size, sheet.name, layout_of_sheet, blocks, told)
    if not found:
        raise Refusal("no_sheet")


def _remarks_on(book: Book, part: Part, contracts: dict[str, Contract]) -> Iterator[Remark]:
    if book.formulas:
        yield remark_of("formulas", formulas=book.formulas)
    for sheet in book.hidden:
        if sheet_layout(sheet, contracts.values(), part.hint) is not None:
            yield remark_of("hidden_sheet", number=sheet.number)


def _blocks_of_sheet(part: Part, number: int, layout: Layout) -> Generator[Block]:
    return sheet_blocks(next(one for one in open_book(part).sheets if one.number == number), layout)


def _hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of its name where it cannot be read or is a link."""
    try:
        refuse_unread(path)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (Refusal, OSError):
        return hashlib.sha256(str(path).encode()).hexdigest()
