"""From the publisher's codes to the sample world's own axes: which leaves of an axis a code covers."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from flows.sample.population import AGES
from flows.sample.world_areas import CHRISTIANSOE, Floats, Ints, Places
from flows.sample.world_conditions import INDUSTRIES, TEN_GROUP
from transforms.areas import areas
from transforms.codelists import Code
from transforms.errors import UsageError
from transforms.sources import Dimension

GROUPS_CSV = Path(__file__).resolve().parents[2] / "transforms" / "reference" / "municipality_groups.csv"
Leaves = Callable[[Code], Sequence[int] | Ints]

# Ancestry as each table writes it -> positions of population.ANCESTRIES.
ANCESTRY: dict[str, tuple[int, ...]] = {
    "1": (0,),
    "5": (0,),
    "10": (0,),
    "999": (0,),
    "24": (1,),
    "25": (2,),
    "34": (3,),
    "35": (4,),
    "20": (1, 2),
    "4": (1, 2),
    "30": (3, 4),
    "3": (3, 4),
}
SEX: dict[str, tuple[int, ...]] = {"M": (0,), "K": (1,), "1": (0,), "2": (1,)}


def matrix(codes: Sequence[Code], known: Sequence[Code], leaves: Leaves, size: int) -> Floats:
    """Return codes × leaves of 0 and 1: a total or subtotal covers what its leaf codes cover."""
    by_code = {code.code: code for code in known}
    out = np.zeros((len(codes), size))
    for row, code in enumerate(codes):
        parts = [by_code[leaf] for leaf in code.leaves] if code.leaves else [code]
        for part in parts:
            out[row, np.asarray(leaves(part), dtype=np.int64)] = 1.0
    return out


def lookup(table: Mapping[str, tuple[int, ...]]) -> Leaves:
    """Return leaves read from a table of codes; UsageError for a code that is not there."""

    def leaves(code: Code) -> Sequence[int]:
        if code.code not in table:
            raise UsageError(f"the sample world does not know the code {code.code} ({code.text_en})")
        return table[code.code]

    return leaves


def ages(code: Code) -> Ints:
    """Return the single years of an age code such as `16-64`, `1666`, `-15`, `67-`, `6099`, `23`."""
    text = code.code
    if re.fullmatch(r"\d{1,3}", text):
        return np.asarray(AGES[int(text) == AGES])
    if match := re.fullmatch(r"(\d\d)-?(\d\d)|-(\d+)|(\d+)-|(\d+)OV", text):
        low = int(match[1] or match[4] or match[5] or 0)
        high = int(match[2] or match[3] or AGES[-1])
        return np.asarray(AGES[(low <= AGES) & (high >= AGES)])
    raise UsageError(f"the sample world does not know the age code {text}")


def industry(code: Code) -> Sequence[int]:
    """Return the industries of a letter group, or of one of the ten groups 1-11."""
    if code.code in TEN_GROUP:
        return [i for i, group in enumerate(TEN_GROUP) if group == code.code]
    return [i for i, letters in enumerate(INDUSTRIES) if letters == code.code]


def area_matrix(codes: Sequence[str], dimension: Dimension, places: Places, groups: dict[str, str]) -> Floats:
    """Return area codes × (places + extra codes); sums leave out Christiansø where the table has no row for it.

    Country, regions and provinces are sums of municipalities; the extra codes (abroad, unknown) stand alone.
    """
    has_islet = "christiansoe" in dimension.levels
    inside = np.array([code != CHRISTIANSOE or has_islet for code in places.codes])
    parents = {
        "country": ["000"] * len(places.codes),
        "region": list(places.regions),
        "province": list(places.provinces),
        "municipality_group": [groups.get(code, "") for code in places.codes],
    }
    out = np.zeros((len(codes), len(places.codes) + len(dimension.extra_codes)))
    for row, code in enumerate(codes):
        if code in dimension.extra_codes:
            out[row, len(places.codes) + dimension.extra_codes.index(code)] = 1.0
        elif code in places.index:
            out[row, places.index[code]] = 1.0
        else:
            out[row, : len(places.codes)] = (np.array(parents[areas()[code].level]) == code) & inside
    return out


def contract(counts: Ints | Floats, matrices: Sequence[Floats | None]) -> Floats:
    """Return an array with every axis summed by its matrix (None leaves the axis as it is)."""
    out = np.asarray(counts)
    todo = [axis for axis, weights in enumerate(matrices) if weights is not None]
    for axis in sorted(todo, key=lambda i: len(matrices[i]) / matrices[i].shape[1]):  # type: ignore[arg-type, union-attr]
        weights = matrices[axis]
        assert weights is not None
        chosen = weights.argmax(axis=1)
        if (weights.sum(axis=1) == 1).all():
            out = np.take(out, chosen, axis=axis)
        else:
            out = np.moveaxis(np.tensordot(weights, out.astype(np.float64), axes=(1, axis)), 0, axis)
    return np.asarray(out, dtype=np.float64)


def municipality_groups(area_by_name: dict[str, str], path: Path = GROUPS_CSV) -> dict[str, str]:
    """Return municipality -> area code of its group (910-960), from the published grouping."""
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter=";"))
    return {row["municipality_code"]: area_by_name[row["group_da"]] for row in rows}
