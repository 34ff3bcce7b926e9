"""The publishers' code lists: every code a dimension can hold, with its Danish and English text."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from transforms.errors import UsageError

CODELISTS = Path(__file__).parent / "reference" / "codelists.csv"
Kind = Literal["total", "subtotal", "leaf"]
LEFT_OUT = "_ALL"
"""Our code for a dimension left out of the request: the publisher then answers with the sum over it."""


@dataclass(frozen=True)
class Code:
    """One code as the publisher writes it; `leaves` are the leaf codes a total or subtotal covers."""

    code: str
    text_da: str
    text_en: str
    kind: Kind = "leaf"
    leaves: tuple[str, ...] = ()


def left_out_code(codes: list[Code]) -> Code:
    """Return the code that stands for a dimension left out of the request: the total of its leaves."""
    leaves = tuple(code.code for code in codes if code.kind == "leaf")
    return Code(LEFT_OUT, "I alt (udeladt af udtrækket)", "Total (left out of the extract)", "total", leaves)


def load_codelists(path: Path = CODELISTS) -> dict[str, list[Code]]:
    """Return code list -> its codes in the publisher's order.

    Raises UsageError with the line for a code given twice, an unknown kind, or a subtotal over codes
    that are not leaves of the same list. The `*` of a total is spelled out as all leaves.
    """
    lists: dict[str, list[Code]] = {}
    lines: dict[tuple[str, str], int] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter=";"), start=2):
            where = (row["codelist"], row["code"])
            if where in lines:
                raise _error(path, number, f"code {where[1]} of {where[0]} is already on line {lines[where]}")
            lines[where] = number
            if row["kind"] not in get_args(Kind):
                raise _error(path, number, f"kind {row['kind']!r} is not one of {', '.join(get_args(Kind))}")
            code = Code(
                row["code"], row["text_da"], row["text_en"], cast(Kind, row["kind"]), tuple(row["leaves"].split())
            )
            lists.setdefault(where[0], []).append(code)
    for name, codes in lists.items():
        lists[name] = _resolve(name, codes, lines, path)
    return lists


def _resolve(name: str, codes: list[Code], lines: dict[tuple[str, str], int], path: Path) -> list[Code]:
    leaves = tuple(code.code for code in codes if code.kind == "leaf")
    resolved = []
    for code in codes:
        covered = leaves if code.leaves == ("*",) else code.leaves
        strange = sorted(set(covered) - set(leaves))
        if strange:
            raise _error(path, lines[name, code.code], f"{code.code} of {name} covers {strange[0]}, which is no leaf")
        if (code.kind == "leaf") == bool(covered):
            raise _error(path, lines[name, code.code], f"{code.code} of {name}: only totals and subtotals have leaves")
        resolved.append(Code(code.code, code.text_da, code.text_en, code.kind, covered))
    return resolved


def _error(path: Path, line: int, message: str) -> UsageError:
    return UsageError(f"{path.parent.name}/{path.name}:{line}: {message}")
