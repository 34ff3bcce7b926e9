"""One delivered table from text to the restricted database, all of it or nothing, and its receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING

from flows.connectors.deliveries_contract import KINDS, Contract, load_contracts
from flows.connectors.deliveries_csv import Block
from flows.connectors.deliveries_faults import Fault, Refusal
from flows.connectors.deliveries_files import Bounds
from flows.connectors.deliveries_guards import transaction, without_collector
from flows.connectors.deliveries_layout import Layout, municipality_in, period_in, require_complete
from flows.connectors.deliveries_parse import Parser, Tally
from flows.connectors.deliveries_receipt import Outcome, receipt_of, unchanged_receipt
from flows.connectors.deliveries_values import Wrong, clean, parse_municipality, parse_period, quarter_of
from flows.keys import Keys
from flows.receipts import Receipt, Remark
from transforms import restricted
from transforms import restricted_incoming as incoming
from transforms.areas import areas, suggest
from transforms.errors import UsageError
from transforms.pseudonym import Pseudonymiser
from transforms.restricted import Delivery
from transforms.restricted_incoming import RowRule
from transforms.restricted_superseded import supersede
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa


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
        outcome.delivery_id = restricted.next_delivery_id(warehouse)
        if contract.table not in self.prepared:
            comments = {each.name: f"{each.label_da} / {each.label_en}" for each in contract.fields}
            restricted.prepare_table(warehouse, contract.table, contract.columns, comments)
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
        current = restricted.current_delivery(
            warehouse, contract.kind, outcome.municipality, outcome.period, synthetic=synthetic
        )
        outcome.compare(current)
        line = self._line(outcome)
        with transaction(warehouse):
            if not outcome.refused:
                if current is not None:
                    supersede(warehouse, contract.table, current, line)
                incoming.store_incoming(warehouse, contract.table, line)
            restricted.enter(warehouse, line)
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
        incoming.begin_incoming(warehouse, contract.columns)
        # One block is stored while the next is read: DuckDB and Python then use a core each.
        with without_collector(), ThreadPoolExecutor(max_workers=1) as storing:
            stored: Future[None] | None = None
            held: pa.Table | None = None  # the newest block; a table of one block needs no thread
            for block in blocks:
                if stored is not None:
                    stored.result()
                if held is not None:
                    if stored is None:
                        restricted.use_all_threads(warehouse)
                    stored = storing.submit(incoming.add_incoming, warehouse, contract.columns, held)
                held = parser.typed(block)
            if stored is not None:
                stored.result()
            if held is not None:
                incoming.add_incoming(warehouse, contract.columns, held)

    def _judge(self, outcome: Outcome, warehouse: Warehouse) -> None:
        """Apply the rules over rows and the delivery as a whole; the rows that break a rule are taken out."""
        contract, tally, day = outcome.contract, outcome.tally, outcome.moment.date()
        rules = [RowRule(rule.id, rule.field, rule.breaks, rule.severity == "reject") for rule in contract.rules]
        informing = {rule.id for rule in contract.rules if rule.severity == "info"}
        room = max(0, tally.limit - len(tally.faults))
        broken = incoming.broken_rules(warehouse, rules, day, room)
        for rule, count, rows in broken:
            listed = [] if rule.id in informing else rows
            for row in listed:
                tally.add(Fault(row, rule.field, rule.id))
            tally.totals[rule.field, rule.id] += count - len(listed)
        repeated = incoming.duplicate_rows(warehouse, contract.key)
        for row in repeated:
            tally.add(Fault(row, "", "duplicate"))
        if repeated or any(rule.rejects for rule, _, _ in broken):
            tally.rejected += incoming.remove_incoming(warehouse, rules, repeated, day)
        outcome.accepted = incoming.count_incoming(warehouse)
        if "person_id" in contract.columns:
            outcome.persons = incoming.count_persons(warehouse)
        if outcome.period is None:
            newest = incoming.newest_date(warehouse, contract.period_field, day)
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
        outcome.delivery_id = restricted.next_delivery_id(warehouse)
        outcome.refuse(refusal.text_da, refusal.text_en)
        restricted.enter(warehouse, self._line(outcome))
        return receipt_of(outcome)

    def _known(
        self, warehouse: Warehouse, kind: str, municipality: str | None, content_id: str, synthetic: bool
    ) -> Delivery | None:
        """Return the delivery that makes this content unchanged, if any; the ledger notes that it came this way too."""
        known = restricted.same_content(
            warehouse, kind, municipality, content_id, synthetic=synthetic, from_folder=self.from_folder
        )
        if known is not None and self.from_folder and not known.is_from_folder:
            restricted.mark_from_folder(warehouse, known)
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
            restricted.next_delivery_id(warehouse), "unknown", self.municipality, self.period, received_at, content_id,
            0, self.keys.key_id, "afvist", 0, 0, 0, None, synthetic, is_from_folder=self.from_folder,
        )  # fmt: skip
        restricted.enter(warehouse, line)
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
