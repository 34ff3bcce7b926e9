"""From what happened to a delivery to its verdict, its line in the ledger and its receipt."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flows.deliveries.contract import Remark, RowFault, danish, largest_rejected_share, remark_of, text_of
from flows.deliveries.files import Layout
from flows.deliveries.store import Delivery
from flows.deliveries.values import MONTH_NAMES
from flows.store.snapshots import replace_synced
from transforms.areas import areas
from transforms.catalogue import Contract, RuleText, Severity
from transforms.models.wording import period_text
from transforms.periods import COPENHAGEN, utc_text

if TYPE_CHECKING:
    import jinja2


MOST_FAULTS = 2_000
"""Of more faults only their rows are kept."""


@dataclass
class RowTally:
    """What was seen so far: rows in and rejected, every row of every rule, faults shown, rows that were empty.

    `notes` are the lines that are no rows of the table; `ends_open`: a file has no end of line at its end.
    """

    rows_in: int = 0
    rejected: int = 0
    blank: int = 0
    ends_open: bool = False
    notes: list[int] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)
    rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def has_room(self) -> bool:
        """Tell whether the next fault is kept with what may be shown of it."""
        return len(self.faults) < MOST_FAULTS

    def add(self, fault: RowFault) -> None:
        """Count a broken rule and note its row; keep the fault itself while there is room."""
        self.totals[fault.field, fault.rule] += 1
        self.rows.setdefault((fault.field, fault.rule), []).append(fault.row)
        if self.has_room:
            self.faults.append(fault)


# Receipts (kvitteringer): what became of a delivery, row by row, as HTML for people and JSON for programs.


TEMPLATES = Path(__file__).parent.parent / "report"

Verdict = Literal["godkendt", "godkendt med bemærkninger", "afvist"]
VERDICT_EN: dict[Verdict, str] = {
    "godkendt": "accepted",
    "godkendt med bemærkninger": "accepted with remarks",
    "afvist": "refused",
}


@dataclass(frozen=True)
class FaultLine:
    """One broken rule in one row, in words, never with a person's data in `shown`; `file` where there are several."""

    row: int
    field: str
    rule: str
    shown: str
    text_da: str = ""
    text_en: str = ""
    file: str = ""


@dataclass(frozen=True)
class RuleTotal:
    """How often a rule was broken in a field, in which rows («5, 7, 9-120»), what it says and what to do."""

    rule: str
    field_da: str
    field_en: str
    severity: str
    count: int
    text_da: str
    text_en: str
    fix_da: str
    fix_en: str
    rows: str = ""


@dataclass(frozen=True)
class Previous:
    """The delivery this one replaces, or would have replaced."""

    delivery_id: str
    received_at: str
    rows_in: int
    rows_accepted: int
    persons: int | None


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
    # Rows of a delivery are rows of persons: a receipt is for the municipality, not for every user of the machine.
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    page = folder / f"{receipt.delivery_id}.html"
    replace_synced(folder / f"{receipt.delivery_id}.json", as_json(receipt))
    replace_synced(page, as_html(receipt))
    return page


def as_json(receipt: Receipt) -> str:
    """Return the receipt as JSON, the same facts as the page plus all kept faults."""
    content = asdict(receipt)
    del content["path_html"]
    for fault in content["faults"]:  # the words stand once with each rule
        del fault["text_da"], fault["text_en"]
        if not fault["file"]:
            del fault["file"]
    return json.dumps({**content, "verdict_en": VERDICT_EN[receipt.verdict]}, ensure_ascii=False, indent=1) + "\n"


def as_html(receipt: Receipt) -> str:
    """Return the receipt as one self-contained page, Danish with English beside it; every text is escaped."""
    return _template().render(receipt=receipt, verdict_en=VERDICT_EN[receipt.verdict])


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(danish_time=danish_time, number=danish, period=lambda period: period_text(period)[0])
    return environment.get_template("receipt.html.jinja")


def danish_time(moment: str) -> str:
    """Return a moment of the ledger as Danes read it: `15. april 2016 kl. 11.00`."""
    local = datetime.fromisoformat(moment).astimezone(COPENHAGEN)
    return f"{local.day}. {MONTH_NAMES[local.month - 1][0]} {local.year} kl. {local:%H.%M}"


def worst(receipts: Sequence[Receipt]) -> Verdict:
    """Return the gravest verdict among receipts; «godkendt» for none."""
    return max((receipt.verdict for receipt in receipts), key=list(VERDICT_EN).index, default="godkendt")


SEVERITIES: tuple[Severity, ...] = ("reject", "warn", "info")
TABLE_STEP = 1_000_000_000
"""Row numbers of the second table of a delivery begin here, those of the third at twice as much."""


@dataclass
class DeliveryOutcome:
    """What has been settled about one delivery so far. `layouts` and `labels` are those of its tables, in order.

    `period_source`: `stated` by sender or rows, read from the `name` or from a `day` in it, or from the `rows`.
    """

    layouts: list[Layout]
    labels: list[str]
    key_id: str
    moment: datetime
    is_synthetic: bool
    is_from_folder: bool
    tally: RowTally = field(default_factory=RowTally)
    delivery_id: str = ""
    content_id: str = ""
    part_ids: str | None = None
    municipality: str = ""
    stated_period: str | None = None
    period: str | None = None
    period_source: str | None = None
    accepted: int = 0
    persons: int | None = None
    refused: bool = False
    remarks: list[Remark] = field(default_factory=list)
    previous: Delivery | None = None

    @property
    def label(self) -> str:
        """Return the names of the tables, safe to print."""
        return " + ".join(self.labels)

    @property
    def given(self) -> dict[str, str]:
        """Return what every row is held against: field name -> value, where it has one."""
        expected = {"municipality": self.municipality, "period": self.stated_period}
        return {name: value for name, value in expected.items() if value}

    @property
    def contract(self) -> Contract:
        """Return the contract the tables follow."""
        return self.layouts[0].contract

    @property
    def verdict(self) -> Verdict:
        """Return the verdict: information alone is no remark."""
        if self.refused:
            return "afvist"
        serious = any(text_of(rule, self.contract).severity != "info" for _, rule in self.tally.totals)
        told = any(remark.severity != "info" for remark in self.remarks)
        return "godkendt med bemærkninger" if serious or told else "godkendt"

    def remark(self, name: str, /, **told: Any) -> None:
        """Add a remark on the delivery as a whole."""
        self.remarks.append(remark_of(name, **told))

    def refuse(self, why: Remark) -> None:
        """Refuse the delivery: no row is taken. The reason comes first among the remarks."""
        self.refused, self.accepted, self.persons = True, 0, None
        self.tally.rejected = self.tally.rows_in
        self.remarks.insert(0, why)

    def judge(self) -> None:
        """Refuse a delivery without rows or period, or with too many rejected rows; tell what was passed over."""
        rows_in, rejected = self.tally.rows_in, self.tally.rejected
        if self.tally.notes:
            where = ranges([row % TABLE_STEP for row in self.tally.notes])
            self.remark("no_row_of_the_table", lines=len(self.tally.notes), where=where)
        if self.tally.ends_open and ("", "cut_off") not in self.tally.totals:
            self.remark("ends_open")
        if self.refused:
            return
        if rows_in == 0:
            self.refuse(remark_of("no_rows"))
        elif rejected > (most := largest_rejected_share(self.contract.kind)) * rows_in:
            self.refuse(remark_of("too_many_rejected", rejected=rejected, rows=rows_in, most=most))
        elif self.period is None:
            self.refuse(remark_of("no_period"))

    def ledger_line(self) -> Delivery:
        """Return the line for the ledger."""
        return Delivery(
            **_shared(self, Delivery),
            kind=self.contract.kind,
            municipality_code=self.municipality or None,
            received_at=utc_text(self.moment),
            contract_version=self.contract.version,
            rows_in=self.tally.rows_in,
            rows_accepted=self.accepted,
            rows_rejected=self.tally.rows_in - self.accepted,
        )


def ranges(rows: Sequence[int]) -> str:
    """Return row numbers as people write them: `5, 7, 9-120`."""
    found: list[tuple[int, int]] = []
    for row in sorted(set(rows)):
        if found and row == found[-1][1] + 1:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def _place(outcome: DeliveryOutcome, row: int, name: str) -> tuple[str, int]:
    """Return the file (empty when there is but one) and the row in it that a fault is shown at."""
    number, row = divmod(row, TABLE_STEP)
    row = outcome.layouts[number].questions.get(name, row)
    return outcome.labels[number] if len(outcome.labels) > 1 else "", row


def _rows(outcome: DeliveryOutcome, name: str, rows: Sequence[int]) -> str:
    """Return the rows of one rule, file by file."""
    by_file: dict[str, list[int]] = {}
    for row in rows:
        file, number = _place(outcome, row, name)
        by_file.setdefault(file, []).append(number)
    return "; ".join((f"{file}: " if file else "") + ranges(numbers) for file, numbers in by_file.items())


def receipt_of(outcome: DeliveryOutcome) -> Receipt:
    """Return the receipt of a settled delivery."""
    contract, tally = outcome.contract, outcome.tally
    labels = {each.name: (each.label_da, each.label_en) for each in contract.fields} | {"": ("Rækken", "The row")}
    totals = []
    for (name, rule), count in tally.totals.items():
        text = text_of(rule, contract)
        rows = "" if text.severity == "info" else _rows(outcome, name, tally.rows.get((name, rule), []))
        totals.append(RuleTotal(rule, *labels[name], count=count, rows=rows, **_shared(text, RuleTotal)))
    totals.sort(key=lambda total: (SEVERITIES.index(total.severity), -total.count, total.field_da))
    lines = []
    for fault in sorted(tally.faults, key=lambda fault: (fault.row, fault.field)):
        text = text_of(fault.rule, contract)
        if text.severity != "info":
            file, row = _place(outcome, fault.row, fault.field)
            lines.append(
                FaultLine(row, labels[fault.field][0], fault.rule, fault.shown, text.text_da, text.text_en, file)
            )
    layouts, previous = outcome.layouts, outcome.previous
    return receipt_for(
        outcome.ledger_line(),
        outcome.label,
        contract,
        rows_blank=tally.blank,
        totals=tuple(totals),
        faults=tuple(lines),
        faults_total=sum(total.count for total in totals if total.severity != "info"),
        remarks=tuple(dict.fromkeys(outcome.remarks)),
        dropped=tuple(dict.fromkeys(name for layout in layouts for name in layout.dropped)),
        undeclared=tuple(dict.fromkeys(name for layout in layouts for name in layout.undeclared)),
        previous=previous and Previous(**_shared(previous, Previous)),
    )


def receipt_for(line: Delivery, label: str, contract: Contract | None = None, **more: Any) -> Receipt:
    """Return the receipt of a line of the ledger: what both hold, the names of what has a code, and what is `more`."""
    told = {"file": label, **_shared(line, Receipt)}
    if contract is not None:
        told |= {"title_da": contract.title_da, "title_en": contract.title_en}
    if line.municipality_code:
        told["municipality"] = areas()[line.municipality_code].name_da
    return Receipt(**told | more)


def _shared(
    source: DeliveryOutcome | Delivery | RuleText, kind: type[Delivery | Receipt | Previous | RuleTotal]
) -> dict[str, Any]:
    """Return what a dataclass of another kind has by the same name, to make one of that kind."""
    return {each.name: getattr(source, each.name) for each in fields(kind) if hasattr(source, each.name)}
