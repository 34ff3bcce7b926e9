"""From what happened to a delivery to its verdict, its line in the ledger and its receipt."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows.deliveries.contract import Fault, text_of
from flows.deliveries.files import Layout
from flows.deliveries.store import Delivery
from flows.store.snapshots import replace_synced
from transforms.areas import areas
from transforms.catalogue import Contract

if TYPE_CHECKING:
    import jinja2


@dataclass
class Tally:
    """What was seen so far: rows in and rejected, faults shown and counted, rows that were empty."""

    limit: int
    rows_in: int = 0
    rejected: int = 0
    blank: int = 0
    faults: list[Fault] = field(default_factory=list)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, fault: Fault, count: int = 1) -> None:
        """Count a broken rule; keep the fault itself while there is room."""
        self.totals[fault.field, fault.rule] += count
        if len(self.faults) < self.limit:
            self.faults.append(fault)


# Receipts (kvitteringer): what became of a delivery, row by row, as HTML for people and JSON for programs.


TEMPLATES = Path(__file__).parent.parent / "report"
SHOWN_IN_HTML = 200

Verdict = Literal["godkendt", "godkendt med bemærkninger", "afvist"]
VERDICT_EN = {"godkendt": "accepted", "godkendt med bemærkninger": "accepted with remarks", "afvist": "refused"}


@dataclass(frozen=True)
class FaultLine:
    """One broken rule in one row, in words. `shown` never holds a person's data."""

    row: int
    field: str
    rule: str
    shown: str


@dataclass(frozen=True)
class RuleTotal:
    """How often a rule was broken in a field, what it says and what to do."""

    rule: str
    field_da: str
    field_en: str
    severity: str
    count: int
    text_da: str
    text_en: str
    fix_da: str
    fix_en: str


@dataclass(frozen=True)
class Previous:
    """The delivery this one replaces, or would have replaced."""

    delivery_id: str
    received_at: str
    rows_in: int
    rows_accepted: int
    persons: int | None


@dataclass(frozen=True)
class Remark:
    """A remark on the delivery as a whole."""

    text_da: str
    text_en: str


@dataclass(frozen=True)
class Receipt:
    """The fate of one delivered table. `rows_in` = `rows_accepted` + `rows_rejected`; blank rows count as none."""

    delivery_id: str
    file: str
    verdict: Verdict
    received_at: str
    kind: str | None = None
    title_da: str = ""
    title_en: str = ""
    municipality_code: str | None = None
    municipality: str = ""
    period: str | None = None
    rows_in: int = 0
    rows_accepted: int = 0
    rows_rejected: int = 0
    rows_blank: int = 0
    persons: int | None = None
    is_unchanged: bool = False
    is_synthetic: bool = False
    key_id: str = ""
    contract_version: int | None = None
    totals: tuple[RuleTotal, ...] = ()
    faults: tuple[FaultLine, ...] = ()
    faults_total: int = 0
    remarks: tuple[Remark, ...] = ()
    dropped: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    previous: Previous | None = None
    path_html: str = field(default="", compare=False)

    @property
    def is_refused(self) -> bool:
        """Tell whether nothing of the delivery was taken."""
        return self.verdict == "afvist"

    def line(self) -> str:
        """Return the receipt as one English line for the terminal."""
        what = " ".join(part for part in (self.kind, self.municipality, self.period) if part) or "delivery"
        state = "unchanged, received before" if self.is_unchanged else VERDICT_EN[self.verdict]
        why = f"; {self.remarks[0].text_en}" if self.is_refused and self.remarks else ""
        return (
            f"{self.delivery_id} {self.file}: {what}: {state}: {self.rows_in:,} rows in, "
            f"{self.rows_accepted:,} accepted, {self.rows_rejected:,} rejected{why}"
        )


def write_receipt(receipt: Receipt, folder: Path) -> Path:
    """Write `<id>.json` and `<id>.html` into `folder` and return the path of the HTML page."""
    page = folder / f"{receipt.delivery_id}.html"
    replace_synced(folder / f"{receipt.delivery_id}.json", as_json(receipt))
    replace_synced(page, as_html(receipt))
    return page


def as_json(receipt: Receipt) -> str:
    """Return the receipt as JSON, the same facts as the page plus all kept faults."""
    content = asdict(receipt)
    del content["path_html"]
    return json.dumps({**content, "verdict_en": VERDICT_EN[receipt.verdict]}, ensure_ascii=False, indent=1) + "\n"


def as_html(receipt: Receipt) -> str:
    """Return the receipt as one self-contained page, Danish with English beside it; every text is escaped."""
    template = _template()
    return template.render(receipt=receipt, verdict_en=VERDICT_EN[receipt.verdict], limit=SHOWN_IN_HTML)


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = lambda number: f"{number:,}".replace(",", ".")
    return environment.get_template("receipt.html.jinja")


def worst(receipts: Sequence[Receipt]) -> Verdict:
    """Return the gravest verdict among receipts; «godkendt» for none."""
    order: list[Verdict] = ["godkendt", "godkendt med bemærkninger", "afvist"]
    return max((receipt.verdict for receipt in receipts), key=order.index, default="godkendt")


SHRUNK = 0.5
SEVERITIES = ("reject", "warn", "info")


@dataclass
class Outcome:
    """What has been settled about one delivery so far."""

    label: str
    layout: Layout
    key_id: str
    moment: datetime
    synthetic: bool
    tally: Tally
    delivery_id: str = ""
    content_id: str = ""
    municipality: str = ""
    municipality_name: str = ""
    period: str | None = None
    accepted: int = 0
    persons: int | None = None
    refused: bool = False
    remarks: list[Remark] = field(default_factory=list)
    previous: Delivery | None = None

    @property
    def contract(self) -> Contract:
        """Return the contract the table follows."""
        return self.layout.contract

    @property
    def received_at(self) -> str:
        """Return the moment of receipt, UTC."""
        return self.moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def verdict(self) -> Verdict:
        """Return the verdict: information alone is no remark."""
        if self.refused:
            return "afvist"
        serious = any(text_of(rule, self.contract).severity != "info" for _, rule in self.tally.totals)
        return "godkendt med bemærkninger" if serious or self.remarks else "godkendt"

    def remark(self, text_da: str, text_en: str) -> None:
        """Add a remark on the delivery as a whole."""
        self.remarks.append(Remark(text_da, text_en))

    def refuse(self, text_da: str, text_en: str) -> None:
        """Refuse the delivery: no row is taken. The reason comes first among the remarks."""
        self.refused, self.accepted, self.persons = True, 0, None
        self.tally.rejected = self.tally.rows_in
        self.remarks.insert(0, Remark(text_da, text_en))

    def judge(self) -> None:
        """Refuse a delivery without rows or period, or with too many rejected rows."""
        rows_in, rejected = self.tally.rows_in, self.tally.rejected
        if rows_in == 0:
            self.refuse("Leverancen indeholder ingen rækker.", "the delivery holds no rows")
        elif rejected > self.contract.max_rejected_share * rows_in:
            share = f"{self.contract.max_rejected_share:.0%}".replace("%", " %")
            self.refuse(
                f"{rejected} af {rows_in} rækker har fejl; ved mere end {share} afvises hele leverancen.",
                f"{rejected} of {rows_in} rows have faults; above {share} the whole delivery is refused",
            )
        elif self.period is None:
            self.refuse(
                "Perioden kan ikke genkendes; udfyld kolonnen Periode, eller angiv den ved afsendelsen.",
                "the period cannot be told; fill in the column Periode or give --period",
            )

    def compare(self, current: Delivery | None) -> None:
        """Note the delivery this one replaces, with a remark when it has shrunk to less than half."""
        self.previous = current
        if current and not self.refused and self.accepted < SHRUNK * current.rows_accepted:
            self.remark(
                f"Leverancen har {self.accepted} godkendte rækker mod {current.rows_accepted} i den forrige; "
                "er alt med?",
                f"The delivery has {self.accepted} accepted rows against {current.rows_accepted}; complete?",
            )

    def ledger_line(self) -> Delivery:
        """Return the line for the ledger."""
        return Delivery(
            delivery_id=self.delivery_id,
            kind=self.contract.kind,
            municipality_code=self.municipality or None,
            period=self.period,
            received_at=self.received_at,
            content_id=self.content_id,
            contract_version=self.contract.version,
            key_id=self.key_id,
            verdict=self.verdict,
            rows_in=self.tally.rows_in,
            rows_accepted=self.accepted,
            rows_rejected=self.tally.rows_in - self.accepted,
            persons=self.persons,
            is_synthetic=self.synthetic,
        )


def receipt_of(outcome: Outcome) -> Receipt:
    """Return the receipt of a settled delivery."""
    contract, tally, line = outcome.contract, outcome.tally, outcome.ledger_line()
    labels = {each.name: (each.label_da, each.label_en) for each in contract.fields} | {"": ("Rækken", "The row")}
    totals = []
    for (name, rule), count in tally.totals.items():
        text = text_of(rule, contract)
        totals.append(
            RuleTotal(rule, *labels[name], text.severity, count, text.text_da, text.text_en, text.fix_da, text.fix_en)
        )
    totals.sort(key=lambda total: (SEVERITIES.index(total.severity), -total.count, total.field_da))
    faults = sorted(tally.faults, key=lambda fault: (fault.row, fault.field))
    previous = outcome.previous
    return Receipt(
        delivery_id=outcome.delivery_id,
        file=outcome.label,
        verdict=outcome.verdict,
        received_at=outcome.received_at,
        kind=contract.kind,
        title_da=contract.title_da,
        title_en=contract.title_en,
        municipality_code=line.municipality_code,
        municipality=outcome.municipality_name,
        period=outcome.period,
        rows_in=line.rows_in,
        rows_accepted=line.rows_accepted,
        rows_rejected=line.rows_rejected,
        rows_blank=tally.blank,
        persons=outcome.persons,
        is_synthetic=outcome.synthetic,
        key_id=outcome.key_id,
        contract_version=contract.version,
        totals=tuple(totals),
        faults=tuple(FaultLine(each.row, labels[each.field][0], each.rule, each.shown) for each in faults),
        faults_total=sum(tally.totals.values()),
        remarks=tuple(outcome.remarks),
        dropped=outcome.layout.dropped,
        undeclared=outcome.layout.undeclared,
        previous=None
        if previous is None
        else Previous(
            previous.delivery_id, previous.received_at, previous.rows_in, previous.rows_accepted, previous.persons
        ),
    )


def unchanged_receipt(known: Delivery, label: str, contract: Contract | None) -> Receipt:
    """Return the receipt for bytes received before: the earlier verdict, and nothing changed."""
    verdict: Verdict = known.verdict  # type: ignore[assignment]
    code = known.municipality_code
    return Receipt(
        delivery_id=known.delivery_id,
        file=label,
        verdict=verdict,
        received_at=known.received_at,
        kind=known.kind,
        title_da=contract.title_da if contract else "",
        title_en=contract.title_en if contract else "",
        municipality_code=code,
        municipality=areas()[code].name_da if code else "",
        period=known.period,
        rows_in=known.rows_in,
        rows_accepted=known.rows_accepted,
        rows_rejected=known.rows_rejected,
        persons=known.persons,
        is_unchanged=True,
        is_synthetic=known.is_synthetic,
        key_id=known.key_id,
        contract_version=known.contract_version,
    )
