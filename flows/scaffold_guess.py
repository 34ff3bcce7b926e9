"""What a table's own description tells about its dimensions: role, column, code list, and what it does not tell."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.connectors.statbank_api import TableInfo, Value, Variable
from transforms.areas import areas
from transforms.catalogue import Catalogue, Code
from transforms.errors import UsageError

SELECTOR_IDS = frozenset(
    {"ENHED", "PRISENHED", "BEREGNING", "TAL", "SAESONFAK", "SÆSON", "DRANST", "ART", "BNOGLE", "MÅLEENHED"}
)
SELECTOR_TEXTS = re.compile(r"\b(unit|measure|seasonal|frequency|price|dranst)\b", re.IGNORECASE)
TOTAL_IDS = ("TOT", "IALT", "TOT1", "MOK", "000", "00", "0")
TOTAL_TEXT = re.compile(r"\btotal\b", re.IGNORECASE)
PERIOD_KINDS = {r"\d{4}": "year", r"\d{4}K[1-4]": "quarter", r"\d{4}M\d\d": "month"}
LETTERS = str.maketrans({"æ": "ae", "ø": "oe", "å": "aa"})


@dataclass
class Draft:
    """The dimensions of a new source, the code lists and columns it needs, and what a person must settle."""

    dimensions: list[dict[str, Any]] = field(default_factory=list)
    codelists: dict[str, list[Code]] = field(default_factory=dict)
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)


def draft_dimensions(danish: TableInfo, english: TableInfo, catalogue: Catalogue, described: set[str]) -> Draft:
    """Return every dimension of the table as the source file writes it, the time last.

    `described` are the columns of the dictionary. Raises UsageError for periods that are no years, quarters or months.
    """
    draft = Draft()
    danish_by_id = {variable.id: variable for variable in danish.variables}
    for variable in sorted(english.variables, key=lambda v: v.time):
        partner = danish_by_id.get(variable.id)
        if partner is None or partner.codes != variable.codes:
            raise UsageError(f"{english.id}: the two languages describe {variable.id} differently; fetch both again")
        _add_dimension(draft, english.id, partner, variable, catalogue, described)
    return draft


def period_kind(info: TableInfo) -> str:
    """Return year, quarter or month; UsageError for every other kind of period."""
    codes = next(variable.codes for variable in info.variables if variable.time)
    for pattern, kind in PERIOD_KINDS.items():
        if all(re.fullmatch(pattern, code) for code in codes):
            return kind
    raise UsageError(f"{info.id}: periods such as {codes[-1]} are not supported; only years, quarters and months are")


def _add_dimension(
    draft: Draft, table: str, danish: Variable, english: Variable, catalogue: Catalogue, described: set[str]
) -> None:
    entry: dict[str, Any] = {"id": english.id, "text_da": danish.text, "text_en": english.text}
    taken = {dimension["column"] for dimension in draft.dimensions}
    if english.time:
        entry |= {"column": "period", "role": "time", "select": ["*"]}
    elif _is_area(english):
        entry |= {"column": _column(english, "area_code", taken), "role": "area"} | _area_codes(draft, english)
        entry["select"] = ["*"]
    else:
        entry |= _coded(draft, table, danish, english, catalogue, taken)
    by_default = entry["role"] in ("category", "selector")
    if english.elimination != by_default:
        entry["elimination"] = english.elimination
    if entry["column"] not in described:
        draft.columns[entry["column"]] = (danish.text, english.text)
    draft.dimensions.append(entry)


def _is_area(variable: Variable) -> bool:
    """Tell whether most codes are Danish areas of today, København among them; three-digit codes alone prove little."""
    known = sum(code in areas() for code in variable.codes)
    return {"101", "147"} <= set(variable.codes) and known > 0.9 * len(variable.codes)


def _area_codes(draft: Draft, variable: Variable) -> dict[str, Any]:
    """Return `levels` and `extra_codes`; codes that are no known area become a question."""
    found = [areas()[code] for code in variable.codes if code in areas()]
    levels = list(dict.fromkeys(area.level for area in found if area.level not in ("abroad", "unknown")))
    extra = [area.code for area in found if area.level in ("abroad", "unknown")]
    if strange := [code for code in variable.codes if code not in areas()]:
        draft.questions.append(
            f"{variable.id}: {', '.join(strange[:5])} are not in transforms/reference/areas.csv; rows with them go to "
            "quarantine until they are added or deselected"
        )
    return {"levels": levels} | ({"extra_codes": extra} if extra else {})


def _coded(
    draft: Draft, table: str, danish: Variable, english: Variable, catalogue: Catalogue, taken: set[str]
) -> dict[str, Any]:
    """Return a category or a selector: its column, code list, total and a first selection."""
    total = _total(english)
    selector = english.id.upper() in SELECTOR_IDS or bool(SELECTOR_TEXTS.search(english.text))
    codes = [_code(da, en, total) for da, en in zip(danish.values, english.values, strict=True)]
    entry: dict[str, Any] = {
        "column": _column(english, _usual_column(english, catalogue), taken),
        "role": "selector" if selector else "category",
        "codelist": _codelist(draft, table, english, codes, catalogue),
    }
    if total is not None:
        entry["total"] = total
    if selector:
        pinned = total or english.codes[0]
        others = ", ".join(f"{value.id} {value.text}" for value in english.values if value.id != pinned)
        draft.questions.append(f"{english.id}: pinned to {pinned} by guess; choose between it and {others}"[:400])
        return entry | {"select": [pinned]}
    if total is None:
        draft.questions.append(f"{english.id}: no total found; every code is selected")
    return entry | {"select": ["*" if total is None else total]}


def _code(danish: Value, english: Value, total: str | None) -> Code:
    is_total = danish.id == total
    return Code(danish.id, danish.text, english.text, "total" if is_total else "leaf", ("*",) if is_total else ())


def _total(variable: Variable) -> str | None:
    """Return the code of the total: a usual id, or a first text that says so; never of a single code."""
    if len(variable.values) < 2:
        return None
    usual = [value for value in variable.values if value.id in TOTAL_IDS and TOTAL_TEXT.search(value.text)]
    first = variable.values[0]
    if usual:
        return usual[0].id
    return first.id if TOTAL_TEXT.search(first.text) else None


def _codelist(draft: Draft, table: str, variable: Variable, codes: list[Code], catalogue: Catalogue) -> str:
    """Return the name of an existing list with the same codes and texts, else of a new one."""
    wanted = [(code.code, code.text_da, code.text_en) for code in codes]
    for name, known in catalogue.codelists.items():
        if [(code.code, code.text_da, code.text_en) for code in known] == wanted:
            return name
    name = f"{slug(variable.text)}_{table.lower()}"
    while name in draft.codelists or name in catalogue.codelists:
        name += "_2"
    draft.codelists[name] = codes
    if len(codes) > 20:
        draft.questions.append(f"{variable.id}: mark the subtotals in code list {name}; all but the total are leaves")
    return name


def _usual_column(variable: Variable, catalogue: Catalogue) -> str:
    """Return the column other sources use for this dimension, or one made from its English label."""
    used: Counter[str] = Counter()
    for source in catalogue.sources.values():
        used.update(d.column for d in source.dimensions if d.id == variable.id and d.text_en == variable.text)
    return used.most_common(1)[0][0] if used else f"{slug(variable.text)}_code"


def _column(variable: Variable, wanted: str, taken: set[str]) -> str:
    """Return `wanted`, or a name from the variable's own id when another dimension has it."""
    return f"{slug(variable.id)}_{wanted}" if wanted in taken else wanted


def slug(text: str) -> str:
    """Return lower-case ASCII words joined by underscores, never empty."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(LETTERS)).encode("ascii", "ignore").decode()
    return "_".join(re.findall(r"[a-z][a-z0-9]*|[0-9]+", plain)[:4]) or "dimension"


def first_codes(dimension: dict[str, Any], variable: Variable, most: int = 2) -> Sequence[str]:
    """Return a few codes that the dimension selects, for the fixture."""
    select = dimension["select"]
    return variable.codes[-most:] if variable.time else variable.codes[:most] if select == ["*"] else select
