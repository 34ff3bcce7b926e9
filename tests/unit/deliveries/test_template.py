"""The templates, filled in and delivered back: by cell here, and in LibreOffice as a new user does it."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.deliveries.contract import load_contracts
from flows.deliveries.intake import deliver
from flows.deliveries.receipts import Receipt
from flows.deliveries.template import FIRST_QUESTION, template
from tests.unit.deliveries.delivery_files import MOMENT, Door, cpr
from transforms.catalogue import KINDS, Contract, DeliveryField
from transforms.errors import UsageError

OFFICE = shutil.which("soffice")
UNO = Path("/usr/bin/python3")  # the interpreter LibreOffice's bridge is installed for
FILL = Path(__file__).parent / "fill_in_libreoffice.py"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def example(field: DeliveryField) -> Any:
    """Return what a user could write into a field."""
    examples: dict[str, Any] = {
        "cpr": cpr(3), "date": dt.date(2016, 1, 31), "municipality": "Rebild", "boolean": "Nej", "period": "2016K1",
        "decimal": 20.5, "integer": 3, "industry": "56.10", "industries": "56.10, 81.21", "country": "Syrien",
        "municipalities": "Randers", "presence": "Vi følger op.",
    }  # fmt: skip
    return field.values[0].text_da if field.values else examples[field.type]


def cells_of(contract: Contract) -> dict[str, Any]:
    """Return cell -> value of one answer to every question of a template."""
    from openpyxl.utils import get_column_letter

    fields = [field for field in contract.fields if field.type != "dropped"]
    if contract.table == "organisation":
        return {f"B{FIRST_QUESTION + n}": example(field) for n, field in enumerate(fields)}
    return {f"{get_column_letter(n + 1)}2": example(field) for n, field in enumerate(fields)}


def received(door: Door, path: Path) -> Receipt:
    (receipt,) = deliver([path], None, door.data, door.key, received_at=MOMENT)
    return receipt


@pytest.mark.parametrize("kind", sorted(KINDS.values()))
def test_a_template_that_is_filled_in_reads_back_without_a_remark(door: Door, tmp_path: Path, kind: str) -> None:
    import openpyxl

    path = template(kind, tmp_path / f"{kind}.xlsx")
    book = openpyxl.load_workbook(path)
    sheet, contract = book.worksheets[0], load_contracts()[kind]
    rules = sheet.data_validations.dataValidation
    assert sum(rule.type == "list" for rule in rules) == sum(
        field.type in ("enum", "boolean", "municipality") for field in contract.fields
    )
    for name, value in cells_of(contract).items():
        sheet[name] = value
    book.save(path)
    receipt = received(door, path)
    assert (receipt.kind, receipt.rows_accepted, receipt.municipality_code) == (kind, 1, "840")
    assert (receipt.verdict, receipt.undeclared, receipt.dropped) == ("godkendt", (), ())


def test_the_questionnaire_asks_one_question_a_line_with_help_beside_it(tmp_path: Path) -> None:
    import openpyxl

    sheet = openpyxl.load_workbook(template("spørgeskema", tmp_path / "o.xlsx")).worksheets[0]
    fields = load_contracts()["organisation"].fields
    asked = [sheet.cell(FIRST_QUESTION + n, 1).value for n in range(len(fields))]
    assert asked == [field.label_da + (" *" if field.required else "") for field in fields]
    assert all(sheet.cell(FIRST_QUESTION + n, 3).value for n in range(len(fields)))
    assert all(sheet.cell(FIRST_QUESTION + n, 2).value is None for n in range(len(fields)))


def test_a_wrong_answer_is_told_by_the_line_of_its_question(door: Door, tmp_path: Path) -> None:
    import openpyxl

    path = template("organisation", tmp_path / "o.xlsx")
    book = openpyxl.load_workbook(path)
    cells = cells_of(load_contracts()["organisation"])
    fields = [field.name for field in load_contracts()["organisation"].fields]
    wrong = f"B{FIRST_QUESTION + fields.index('started_within_14d_pct')}"
    for name, value in {**cells, wrong: "halvdelen"}.items():
        book.worksheets[0][name] = value
    book.save(path)
    receipt = received(door, path)
    assert [(fault.row, fault.rule) for fault in receipt.faults] == [(int(wrong[1:]), "number")]


def test_an_empty_form_is_refused_in_words(door: Door, tmp_path: Path) -> None:
    receipt = received(door, template("organisation", tmp_path / "o.xlsx"))
    assert receipt.is_refused
    assert "ingen rækker" in receipt.remarks[0].text_da


def test_an_unknown_template_gets_the_nearest_word(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean organisation"):
        template("organisationen", tmp_path / "o.xlsx")


@pytest.mark.long
@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
@pytest.mark.parametrize("suffix", ["xlsx", "ods"])
@pytest.mark.parametrize("kind", sorted(KINDS.values()))
def test_a_new_user_fills_the_template_in_libreoffice(door: Door, tmp_path: Path, kind: str, suffix: str) -> None:
    if not UNO.exists() or subprocess.run([UNO, "-c", "import uno"], capture_output=True).returncode:
        pytest.skip("LibreOffice's bridge to Python is not installed")
    typed = {
        name: f"{value:%d-%m-%Y}" if isinstance(value, dt.date) else str(value).replace(".5", ",5")
        for name, value in cells_of(load_contracts()[kind]).items()
    }
    path, saved = template(kind, tmp_path / f"{kind}.xlsx"), tmp_path / f"udfyldt.{suffix}"
    pairs = [text for pair in typed.items() for text in pair]
    subprocess.run([UNO, FILL, str(OFFICE), str(path), str(saved), *pairs], check=True, timeout=180, stdout=sys.stderr)
    receipt = received(door, saved)
    assert (receipt.kind, receipt.rows_accepted, receipt.verdict) == (kind, 1, "godkendt")
