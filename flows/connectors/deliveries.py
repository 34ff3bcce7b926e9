"""Municipal deliveries: received, checked, pseudonymised, stored, and answered with a receipt.

No CPR number and no name leaves this package: not in the database, the receipts, the logs or an error.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from flows.connectors.deliveries_contract import Contract
from flows.connectors.deliveries_csv import Block, read_blocks, read_layout
from flows.connectors.deliveries_faults import Refusal
from flows.connectors.deliveries_files import Bounds, Part
from flows.connectors.deliveries_guards import quietly
from flows.connectors.deliveries_intake import Intake, Table
from flows.connectors.deliveries_layout import Layout
from flows.connectors.deliveries_unpack import parts_of
from flows.connectors.deliveries_xlsx import open_workbook, read_sheet, sheet_blocks, sheet_layout, sheets
from flows.keys import load_keys
from flows.receipts import Receipt, write_receipt
from transforms.errors import UsageError
from transforms.pseudonym import mask
from transforms.restricted import open_restricted
from transforms.warehouse import Warehouse

__all__ = ["Bounds", "Request", "deliver", "receive"]

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
