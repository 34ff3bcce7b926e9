"""Templates municipalities fill in: a workbook per kind with drop-downs, and what each column means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flows.deliveries.contract import TEXTS, kind_named, load_contracts
from flows.deliveries.values import EXCEL_DAYS
from transforms.areas import areas_at
from transforms.catalogue import Contract, DeliveryField
from transforms.errors import UsageError

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet


ROWS = 2000
LISTS = "Lister"
MEANING = {kind: (text["text_da"], text["text_en"]) for kind, text in TEXTS["meanings"].items()}
# Formats that keep a spreadsheet from turning codes into numbers, dates or times.
FORMATS = {
    "date": "DD-MM-YYYY", "cpr": "@", "industry": "@", "industries": "@", "municipalities": "@", "period": "@",
    "municipality": "@", "decimal": "0.##", "integer": "0",
}  # fmt: skip
COLOURS = {"fact": "DCE6F1", "judgement": "FCE4D6", "about": "E7E6E6"}
FIRST_QUESTION = 5


def template(kind: str, path: Path) -> Path:
    """Write an empty workbook for one kind of delivery and return its path; UsageError for an unknown kind.

    Person rows get a table: headings, with formats and lists in their columns, and a sheet that explains them. The
    questionnaire gets a form: one question a line, help beside it, and * at what must be answered.
    """
    import openpyxl

    contract = load_contracts()[kind_named(kind, "--template")]
    fields = [field for field in contract.fields if field.type != "dropped"]
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = contract.title_da.split("(")[0].strip()[:31]
    if contract.table == "organisation":
        lists = book.create_sheet(LISTS)
        _write_form(sheet, lists, contract, fields)
    else:
        guide, lists = book.create_sheet("Vejledning"), book.create_sheet(LISTS)
        for column, field in enumerate(fields, start=1):
            _write_column(sheet, lists, column, field)
        sheet.freeze_panes = "A2"
        _write_guide(guide, contract, fields)
    lists.sheet_state = "hidden"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        book.save(path)
    except OSError as error:
        raise UsageError(f"{path}: the template cannot be written ({error.strerror})") from None
    return path


def choices(field: DeliveryField) -> list[str]:
    """Return the Danish texts a field's drop-down offers; none when it is not chosen from a list."""
    if field.type == "boolean":
        return ["Ja", "Nej"]
    if field.type == "municipality":
        return [area.name_da for area in areas_at(["municipality"])]
    return [value.text_da for value in field.values]


def _write_form(sheet: Worksheet, lists: Worksheet, contract: Contract, fields: list[DeliveryField]) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill

    sheet["A1"], sheet["A2"] = contract.title_da, "Skriv i kolonnen Svar. Spørgsmål med * skal besvares."
    sheet["D1"], sheet["D2"] = contract.title_en, "Write in the column Svar. Questions with * must be answered."
    sheet["A1"].font = sheet["D1"].font = Font(bold=True, size=14)
    for column, heading in enumerate(("Spørgsmål", "Svar", "Hjælp", "Question", "Help"), start=1):
        sheet.cell(FIRST_QUESTION - 1, column, heading).font = Font(bold=True)
    for row, field in enumerate(fields, start=FIRST_QUESTION):
        mark = " *" if field.required else ""
        meaning_da, meaning_en = MEANING[field.type]
        help_da = f"{meaning_da}. {field.help_da}".strip()
        texts = (field.label_da + mark, None, help_da, field.label_en + mark, f"{meaning_en}. {field.help_en}".strip())
        for column, text in enumerate(texts, start=1):
            cell = sheet.cell(row, column, text)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if column == 1:
                cell.fill = PatternFill("solid", fgColor=COLOURS[field.aspect])
        sheet.cell(row, 2).number_format = FORMATS.get(field.type, "General")
        _write_rule(sheet, lists, row, field, f"B{row}")
    for letter, width in zip("ABCDE", (48, 40, 48, 40, 48), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = f"C{FIRST_QUESTION}"


def _write_column(sheet: Worksheet, lists: Worksheet, column: int, field: DeliveryField) -> None:
    from openpyxl.comments import Comment
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    letter = get_column_letter(column)
    heading = sheet.cell(1, column, field.label_da)
    heading.font = Font(bold=True, underline="single" if field.required else None)
    # Facts, judgements and the rest are kept apart in colour as they are in the data.
    heading.fill = PatternFill("solid", fgColor=COLOURS[field.aspect])
    must_da, must_en = ("Skal udfyldes. ", "Required. ") if field.required else ("", "")
    meaning_da, meaning_en = MEANING[field.type]
    heading.comment = Comment(
        f"{must_da}{meaning_da}. {field.help_da} / {field.label_en}. {must_en}{meaning_en}. {field.help_en}".strip(),
        "kommunekort",
    )
    dimension = sheet.column_dimensions[letter]
    dimension.width = max(14, min(40, len(field.label_da) + 2))
    dimension.number_format = FORMATS.get(field.type, "General")
    _write_rule(sheet, lists, column, field, f"{letter}2:{letter}{ROWS}")


def _write_rule(sheet: Worksheet, lists: Worksheet, number: int, field: DeliveryField, cells: str) -> None:
    """Let a spreadsheet refuse at once what would be refused later: lists, ranges, days, lengths of codes."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    rule = DataValidation(operator="between", allow_blank=True, errorTitle=field.label_da[:32])
    offered = choices(field)
    if offered:
        letter = get_column_letter(number)
        for row, text in enumerate(offered, start=1):
            lists.cell(row, number, text)
        # A range on a hidden sheet: a list written into the rule itself may hold 255 characters at most.
        rule.type, rule.operator, rule.formula1 = "list", None, f"={LISTS}!${letter}$1:${letter}${len(offered)}"
        rule.error = "Vælg en værdi fra listen / Choose a value of the list"
    elif field.type in ("integer", "decimal") and field.minimum is not None and field.maximum is not None:
        rule.type = "whole" if field.type == "integer" else "decimal"
        rule.formula1, rule.formula2 = f"{field.minimum:g}", f"{field.maximum:g}"
        rule.error = f"{field.minimum:g}-{field.maximum:g}"
    elif field.type == "date":
        rule.type, rule.formula1, rule.formula2 = "date", str(EXCEL_DAYS.start), str(EXCEL_DAYS.stop - 1)
        rule.error = "Skriv en dato som dd-mm-åååå / Write a date as dd-mm-yyyy"
    elif field.type in ("cpr", "industry"):
        rule.type = "textLength"
        rule.formula1, rule.formula2 = ("10", "11") if field.type == "cpr" else ("2", "8")
        rule.error = " / ".join(MEANING[field.type])
    else:
        return
    sheet.add_data_validation(rule)
    rule.add(cells)


def _write_guide(guide: Worksheet, contract: Contract, fields: list[DeliveryField]) -> None:
    aspects = {"fact": "Kendsgerning / Fact", "judgement": "Vurdering / Judgement", "about": "Om besvarelsen / About"}
    guide.append([contract.title_da, contract.title_en, f"version {contract.version}"])
    guide.append(["Felt", "Field", "Udfyldes", "Indhold", "Slags"])
    for field in fields:
        required = "Ja / Yes" if field.required else ""
        content = " · ".join(choices(field)) if field.type == "enum" else " / ".join(MEANING[field.type])
        help_text = f" {field.help_da} / {field.help_en}" if field.help_da else ""
        guide.append([field.label_da, field.label_en, required, content + help_text, aspects[field.aspect]])
    for letter, width in zip("ABCDE", (44, 40, 12, 90, 24), strict=True):
        guide.column_dimensions[letter].width = width
