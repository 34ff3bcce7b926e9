"""Danish areas: one code per area, found from every name a publisher writes for it.

Codes and names are those of StatBank; `transforms/reference/areas.csv` holds them in StatBank's own
hierarchical order and is the allow-list every area column is checked against.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from transforms.errors import UsageError

REFERENCE = Path(__file__).parent / "reference"
Level = Literal[
    "country", "region", "province", "municipality", "christiansoe", "municipality_group", "abroad", "unknown",
]  # fmt: skip
LEVELS: tuple[str, ...] = get_args(Level)
DASH_SIGNS = "‐‑‒–—−"
"""What people and programs write for a hyphen or a minus."""
DASHES = str.maketrans(dict.fromkeys(DASH_SIGNS, "-"))


@dataclass(frozen=True)
class Area:
    """One area of the allow-list, with the region and province it lies in ("" where it has none)."""

    code: str
    name_da: str
    name_en: str
    level: str
    region_code: str
    province_code: str


def reference_rows(name: str, folder: Path | None = None) -> list[dict[str, str]]:
    """Return the rows of a file of the reference (or another) folder, as text; what a short line lacks is empty."""
    with ((folder or REFERENCE) / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";", restval=""))


@cache
def areas() -> dict[str, Area]:
    """Return every known area by code, in StatBank's hierarchical order."""
    found = {row["code"]: Area(**row) for row in reference_rows("areas.csv")}
    strange = sorted({area.level for area in found.values()} - set(LEVELS))
    if strange:
        raise UsageError(f"transforms/reference/areas.csv: unknown level {strange[0]!r}; use one of {LEVELS}")
    return found


@cache
def aliases() -> dict[str, list[str]]:
    """Return the further names of each area, by code, as the reference file lists them."""
    found: dict[str, list[str]] = {}
    for row in reference_rows("area_aliases.csv"):
        found.setdefault(row["code"], []).append(row["alias"])
    return found


def areas_at(levels: Iterable[str]) -> list[Area]:
    """Return the areas of the given levels in StatBank's hierarchical order."""
    wanted = set(levels)
    return [area for area in areas().values() if area.level in wanted]


@cache
def inhabitants() -> dict[str, tuple[float, float]]:
    """Return area -> the smallest and the largest number of inhabitants it can have, for telling other figures apart.

    Wide bounds of our own, not statistics: `transforms/reference/inhabitants.csv`.
    """
    return {
        row["area_code"]: (float(row["inhabitants_from"]), float(row["inhabitants_to"]))
        for row in reference_rows("inhabitants.csv")
    }


def area_code(text: str) -> str | None:
    """Return the code of the area that `text` names exactly, or None.

    Accepts the code itself, a municipality's code in four digits (`0766`, as DAGI and the CPR office
    write it), the Danish or English name, a listed alias and «… Kommune»; case and spacing do not matter.
    Never guesses: names of municipalities that ended in 2006 give None. Never raises.
    """
    key = comparable(text)
    if key in areas():
        return key
    four_digits = re.fullmatch(r"0([0-9]{3})", key)
    if four_digits:
        return _municipality(four_digits[1])
    code = _names().get(key)
    if code is None and key.endswith(" kommune"):
        code = _municipality(_names().get(key.removesuffix(" kommune")))
    return code


def suggest(text: str) -> list[str]:
    """Return up to three Danish area names that look like `text`, best first, for use in a message only."""
    keys = get_close_matches(comparable(text).removesuffix(" kommune"), _names(), n=6, cutoff=0.6)
    return list(dict.fromkeys(areas()[_names()[key]].name_da for key in keys))[:3]


def _municipality(code: str | None) -> str | None:
    area = areas().get(code or "")
    return area.code if area and area.level in ("municipality", "christiansoe") else None


@cache
def _names() -> dict[str, str]:
    names: dict[str, str] = {}
    further = [(code, alias) for code, known in aliases().items() for alias in known]
    official = [(area.code, name) for area in areas().values() for name in (area.name_da, area.name_en)]
    for code, name in official + further:
        if code not in areas():
            raise UsageError(f"transforms/reference/area_aliases.csv: {name!r} has unknown code {code!r}")
        if names.setdefault(comparable(name), code) != code:
            raise UsageError(
                f"transforms/reference/area_aliases.csv: {name!r} names both {names[comparable(name)]} and {code}"
            )
    return names


def comparable(text: str, keep: str | None = None) -> str:
    """Return a publisher's text as it is compared: case, spacing, kinds of dash and how letters are put together aside.

    `keep`: the only signs that tell texts apart; without it all do. What people type as headings and answers is
    compared more freely, by `catalogue.fold_spelling`.
    """
    plain = unicodedata.normalize("NFC", text).translate(DASHES).casefold()
    if keep is not None:
        plain = re.sub(rf"[^\w{re.escape(keep)}]+", " ", plain)
    return " ".join(plain.split())
