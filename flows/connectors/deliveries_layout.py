"""Which kind of delivery a table is, where its heading stands, and which column is which field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flows.connectors.deliveries_contract import Contract, DeliveryField, squash
from flows.connectors.deliveries_faults import Refusal
from flows.connectors.deliveries_values import Wrong, parse_municipality, parse_period

HEADING_ROWS = 25
LEAST_HEADINGS = 2


@dataclass(frozen=True)
class Layout:
    """How to read a table. `heading_row` counts from 0; `positions` is field name -> column, dropped fields absent."""

    contract: Contract
    heading_row: int
    width: int
    positions: dict[str, int]
    dropped: tuple[str, ...]
    undeclared: tuple[str, ...]


def find_layout(rows: Sequence[Sequence[str]], contracts: Iterable[Contract], hint: str = "") -> Layout | None:
    """Return the best reading of a table's first rows, or None when fewer than two headings are known.

    Best is: fewest required fields missing, then most fields found, then the kind the file's name speaks of.
    """
    words = set(re.split(r"[^a-zæøå]+", hint.casefold()))
    best: tuple[tuple[int, int, int], Layout] | None = None
    for number, row in enumerate(rows[:HEADING_ROWS]):
        names = {name for heading in row for name in _names(heading)}
        for contract in contracts:
            if len(names & contract.by_heading.keys()) < LEAST_HEADINGS:
                continue
            layout = _read_heading(row, number, contract)
            found = len(layout.positions)
            if found < LEAST_HEADINGS:
                continue
            rank = (-len(missing_fields(layout)), found, len(words & set(contract.file_words)))
            if best is None or rank > best[0]:
                best = (rank, layout)
    return best[1] if best else None


def _read_heading(row: Sequence[str], number: int, contract: Contract) -> Layout:
    positions: dict[str, int] = {}
    dropped: list[str] = []
    undeclared: list[str] = []
    run_together = _holds_data(row)
    for column, heading in enumerate(row):
        field = _field_of(heading, contract)
        if field is None:
            if heading.strip():
                undeclared.append(_safe_heading(heading, column, run_together=run_together))
        elif field.type == "dropped":
            dropped.append(field.label_da)
        elif field.name in positions:
            undeclared.append(f"{field.label_da} (gentaget/repeated, kolonne {column + 1})")
        else:
            positions[field.name] = column
    return Layout(contract, number, len(row), positions, tuple(dropped), tuple(undeclared))


def _field_of(heading: str, contract: Contract) -> DeliveryField | None:
    return next((contract.by_heading[name] for name in _names(heading) if name in contract.by_heading), None)


def _names(heading: str) -> list[str]:
    """Return what a heading may be known by: all of it, and what stands before a bracket."""
    bracketed = "(" in heading or "[" in heading
    return [squash(heading), squash(_unbracketed(heading))] if bracketed else [squash(heading)]


def _safe_heading(heading: str, column: int, *, run_together: bool) -> str:
    """Return an unknown heading as it may be printed: by its place when it may be part of a person's row."""
    text = " ".join(heading.split())
    hide = run_together or len(text) > 60 or re.search(r"\d", text)
    return f"kolonne/column {column + 1}" if hide else text


def _holds_data(row: Sequence[str]) -> bool:
    """Tell whether a heading row has swallowed a row of data: some cell holds a date or a number."""
    return any(len(re.findall(r"\d", cell)) >= 6 for cell in row)


def _unbracketed(heading: str) -> str:
    """Return a heading without what stands in brackets behind it: «Startdato (dd-mm-åååå)»."""
    return re.sub(r"[\[(].*$", "", heading)


def missing_fields(layout: Layout) -> list[str]:
    """Return the labels of required fields that have no column."""
    fields = layout.contract.fields
    # A municipality may also be known from the argument or the file's name.
    return [
        field.label_da
        for field in fields
        if field.required and field.type != "municipality" and field.name not in layout.positions
    ]


def require_complete(layout: Layout, label: str) -> None:
    """Refuse a table without its required columns, or with one of them twice."""
    absent = missing_fields(layout)
    if absent:
        names = ", ".join(absent)
        raise Refusal(
            label,
            f"Kolonner mangler: {names}. Brug skabelonens overskrifter.",
            f"required columns of {layout.contract.kind} cannot be found: {names}; use the headings of the template",
        )
    repeated = [text for text in layout.undeclared if "(gentaget/repeated" in text]
    if repeated:
        raise Refusal(
            label,
            f"To kolonner hører til samme felt: {repeated[0]}. Behold den ene.",
            f"two columns hold the same field: {repeated[0]}; keep one of them",
        )


def municipality_in(name: str) -> str | None:
    """Return the code of the one municipality a file name speaks of, or None when there is none or several."""
    tokens = re.split(r"[\s_.,()]+", re.sub(r"\.[A-Za-z]{3,4}$", "", name.rsplit("/", 1)[-1]))
    tokens += [part for token in tokens for part in token.split("-")]
    found: set[str] = set()
    for length in (1, 2):
        for start in range(len(tokens) - length + 1):
            text = " ".join(tokens[start : start + length])
            if not re.fullmatch(r"(19|20)\d\d|\d{1,2}", text):
                try:
                    found.add(parse_municipality(text))
                except Wrong:
                    continue
    return found.pop() if len(found) == 1 else None


def period_in(name: str) -> str | None:
    """Return the quarter or year a file name speaks of, or None."""
    stem = re.sub(r"\.[A-Za-z]{3,4}$", "", name.rsplit("/", 1)[-1])
    patterns = (
        r"(?<!\d)\d{4}[-_ ]?[kKqQ][1-4](?!\d)",
        r"(?<![A-Za-z\d])[kKqQ][1-4][-_ ]?(?:19|20)\d\d(?!\d)",
        r"(?<!\d)(?:19|20)\d\d-\d\d-\d\d(?!\d)",
        r"(?<!\d)\d\d-\d\d-(?:19|20)\d\d(?!\d)",
        r"(?<!\d)(?:19|20)\d\d(?!\d)",
    )
    for pattern in patterns:
        if match := re.search(pattern, stem):
            try:
                return parse_period(match[0].replace("_", " "))
            except Wrong:
                continue
    return None
