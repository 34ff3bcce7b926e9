"""From what happened to a delivery to its verdict, its line in the ledger and its receipt."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from flows.connectors.deliveries_contract import Contract
from flows.connectors.deliveries_faults import text_of
from flows.connectors.deliveries_layout import Layout
from flows.connectors.deliveries_parse import Tally
from flows.receipts import FaultLine, Previous, Receipt, Remark, RuleTotal, Verdict
from transforms.areas import areas
from transforms.restricted import Delivery

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
