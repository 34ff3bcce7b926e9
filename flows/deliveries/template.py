"""Templates municipalities fill in: a workbook per kind with drop-downs, and what each column means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flows.deliveries.contract import load_contracts
from transforms.areas import areas_at
from transforms.catalogue import KINDS, Contract, DeliveryField
from transforms.errors import UsageError

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet


ROWS = 2000
LISTS = "Lister"
MEANING = {
    "cpr": "Ti cifre med eller uden bindestreg / Ten digits with or without hyphen",
    "date": "dd-mm-åååå",
    "decimal": "Tal, fx 20,5 / Number",
    "integer": "Helt tal / Whole number",
    "boolean": "Ja eller Nej / Yes or no",
    "industry": "DB07, seks cifre / DB07, six digits",
    "industries": "DB07-koder adskilt med komma / DB07 codes separated by comma",
    "municipality": "Navn eller kode / Name or code",
    "municipalities": "Kommuner adskilt med komma / Municipalities separated by comma",
    "country": "Landets navn / The country's name",
    "period": "Fx 2016K1 / E.g. 2016K1",
    "presence": "Tekst; gemmes ikke, kun om feltet er udfyldt / Text; only whether it is filled in is stored",
    "enum": "Vælg fra listen / Choose from the list",
}


def template(kind: str, path: Path) -> Path:
    """Write an empty workbook for one kind of delivery and return its path; UsageError for an unknown kind.

    The first sheet has the headings a delivery is recognised by and drop-downs for what may be chosen; the second
    explains every column in Danish and English.
    """
    import openpyxl

    if kind not in KINDS.values():
        raise UsageError(f"--template {kind}: unknown; use one of {', '.join(KINDS.values())}")
    contract = load_contracts()[kind]
    fields = [field for field in contract.fields if field.type != "dropped"]
    book = openpyxl.Workbook()
    sheet, guide, lists = book.worksheets[0], book.create_sheet("Vejledning"), book.create_sheet(LISTS)
    sheet.title = contract.title_da.split("(")[0].strip()[:31]
    lists.sheet_state = "hidden"
    for column, field in enumerate(fields, start=1):
        _write_column(sheet, lists, column, field)
    sheet.freeze_panes = "A2"
    _write_guide(guide, contract, fields)
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


def _write_column(sheet: Worksheet, lists: Worksheet, column: int, field: DeliveryField) -> None:
    from openpyxl.comments import Comment
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    letter = get_column_letter(column)
    heading = sheet.cell(1, column, field.label_da)
    heading.font = Font(bold=True)
    # Facts, judgements and the rest are kept apart in colour as they are in the data.
    colour = {"fact": "DCE6F1", "judgement": "FCE4D6", "about": "E7E6E6"}[field.aspect]
    heading.fill = PatternFill("solid", fgColor=colour)
    heading.comment = Comment(
        f"{field.label_en}. {MEANING[field.type]}. {field.help_da} {field.help_en}".strip(), "kommunekort"
    )
    sheet.column_dimensions[letter].width = max(14, min(40, len(field.label_da) + 2))
    kind_of_cell = {"date": "DD-MM-YYYY", "cpr": "@", "industry": "@", "industries": "@"}.get(field.type)
    if kind_of_cell:
        for row in range(2, 52):
            sheet.cell(row, column).number_format = kind_of_cell
    offered = choices(field)
    if offered:
        for row, text in enumerate(offered, start=1):
            lists.cell(row, column, text)
        # A range on a hidden sheet: a list written into the rule itself may hold 255 characters at most.
        rule = DataValidation(
            type="list", formula1=f"={LISTS}!${letter}$1:${letter}${len(offered)}", allow_blank=not field.required
        )
        rule.error, rule.errorTitle = "Vælg en værdi fra listen / Choose a value of the list", field.label_da[:32]
    elif field.type in ("integer", "decimal") and field.minimum is not None and field.maximum is not None:
        rule = DataValidation(
            type="whole" if field.type == "integer" else "decimal",
            operator="between",
            formula1=f"{field.minimum:g}",
            formula2=f"{field.maximum:g}",
            allow_blank=True,
        )
        rule.error, rule.errorTitle = f"{field.minimum:g}-{field.maximum:g}", field.label_da[:32]
    else:
        return
    sheet.add_data_validation(rule)
    rule.add(f"{letter}2:{letter}{ROWS}")


def _write_guide(guide: Worksheet, contract: Contract, fields: list[DeliveryField]) -> None:
    aspects = {"fact": "Kendsgerning / Fact", "judgement": "Vurdering / Judgement", "about": "Om besvarelsen / About"}
    guide.append([contract.title_da, contract.title_en, f"version {contract.version}"])
    guide.append(["Felt", "Field", "Udfyldes", "Indhold", "Slags"])
    for field in fields:
        required = "Ja / Yes" if field.required else ""
        content = " · ".join(choices(field)) if field.type == "enum" else MEANING[field.type]
        help_text = f" {field.help_da} / {field.help_en}" if field.help_da else ""
        guide.append([field.label_da, field.label_en, required, content + help_text, aspects[field.aspect]])
    for letter, width in zip("ABCDE", (44, 40, 12, 90, 24), strict=True):
        guide.column_dimensions[letter].width = width
