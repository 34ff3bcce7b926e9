"""The shortage classes the programme enters by hand: `reference/industry_shortage.csv` checked before it is used.

Arbejdsmarkedsbalancen gives a class per job title and labour market region, twice a year; its list of classes has
changed, so each entry names the list it was taken from (`reference/shortage_classes.csv`, whose `in_force_on` is a day
the list is known to have been in force, empty when none is known). An entry is about a region or a province.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from transforms.errors import UsageError

INDUSTRIES = "db07_37"


def check_shortage(folder: Path) -> None:
    """Raise UsageError with file, line, value and rule for the first entry that cannot be used.

    A folder without the file has no entries.
    """
    path = folder / "industry_shortage.csv"
    if not path.is_file():
        return
    allowed = {
        "industry_code": {row["code"] for row in _rows(folder / "codelists.csv") if row["codelist"] == INDUSTRIES},
        "area_code": {
            row["code"] for row in _rows(folder / "areas.csv") if row["level"] in ("region", "province")
        },
    }  # fmt: skip
    classes = {(row["class_list"], row["shortage_class"]) for row in _rows(folder / "shortage_classes.csv")}
    rules = {"industry_code": f"an industry of {INDUSTRIES}", "area_code": "the code of a region or a province"}
    seen: dict[tuple[str, str, str], int] = {}
    for line, row in enumerate(_rows(path), start=2):
        for column, codes in allowed.items():
            if row[column] not in codes:
                raise _refusal(path, line, column, row[column], rules[column])
        if (row["class_list"], row["shortage_class"]) not in classes:
            told = f"a class of the list {row['class_list']!r} in shortage_classes.csv"
            raise _refusal(path, line, "shortage_class", row["shortage_class"], told)
        if not _is_day(row["valid_from"]):
            raise _refusal(path, line, "valid_from", row["valid_from"], "a day as 2019-07-01")
        if not row["source"]:
            raise _refusal(path, line, "source", "", "where the entry was taken from")
        key = (row["area_code"], row["industry_code"], row["valid_from"])
        if (first := seen.setdefault(key, line)) != line:
            raise _refusal(path, line, "valid_from", row["valid_from"], f"one entry a day; line {first} is the same")


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file, every column as text; what a short line lacks is empty."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=";", restval=""))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _refusal(path: Path, line: int, column: str, value: str, rule: str) -> UsageError:
    return UsageError(
        f"transforms/reference/{path.name}: line {line}: {column} {value!r} is not {rule}; correct the line"
    )
