"""Receipts (kvitteringer): what became of a delivery, row by row, as HTML for people and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows.snapshots import replace_synced

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "report"
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
