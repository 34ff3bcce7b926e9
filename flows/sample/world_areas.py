"""The stage of the sample world: the real municipalities with invented sizes and an invented map.

Names, codes, regions and provinces are facts (`transforms/reference/areas.csv`). Everything else is
drawn: a size inside a rough class, a kind of place, and the pull between any two municipalities.
"""

from __future__ import annotations

import csv
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AREAS_CSV = Path(__file__).resolve().parents[2] / "transforms" / "reference" / "areas.csv"
CHRISTIANSOE = "411"
ABROAD = "950"

# Rough size classes: invented bounds that put the largest cities first and the islands last.
_CAPITAL = ("101",)
_METROPOLIS = ("751", "851", "461")
_LARGE = "147 157 159 217 219 259 265 316 330 370 376 540 561 607 615 621 630 657 661 730 740 746 791 813 860 760"
_SMALL = "153 161 163 165 183 187 210 223 260 269 306 329 336 340 350 360 440 450 480 530 665 671 727 756"
_SMALL_TOO = "773 810 820 840 846 849 482 410"
_ISLANDS = "155 492 563 741 825"
_UNIVERSITY = ("101", "147", "461", "751", "851", "265", "173")
_BOUNDS = {
    "capital": (540_000.0, 560_000.0),
    "metropolis": (205_000.0, 290_000.0),
    "large": (61_000.0, 116_000.0),
    "middle": (41_000.0, 58_000.0),
    "small": (25_500.0, 39_000.0),
    "island": (2_200.0, 12_500.0),
    "islet": (90.0, 110.0),
}
# Which provinces touch (bridges count); a fact of the map, used for commuting only.
_BORDERS = "01-02 02-03 02-05 01-05 03-05 05-06 06-07 07-08 08-09 08-10 09-10 09-11 10-11 01-04"


@dataclass(frozen=True)
class Places:
    """The 98 municipalities and Christiansø in code order, with what never changes about them."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    regions: tuple[str, ...]
    provinces: tuple[str, ...]
    sizes: tuple[str, ...]
    size_2016: Floats
    """Invented inhabitants on 1 January 2016."""
    urbanity: Floats
    """0 (rural) to 1 (the capital): drives age, education, industry and migration."""
    hops: Floats
    """Province borders and neighbourhood steps between two places, places × places."""

    @property
    def index(self) -> dict[str, int]:
        """Return code -> position."""
        return {code: i for i, code in enumerate(self.codes)}


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random stream of one part of the world; parts do not disturb each other."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def read_places(seed: int, path: Path = AREAS_CSV) -> Places:
    """Return the places of the world of `seed`; sizes are invented, codes and names are not."""
    with path.open(encoding="utf-8", newline="") as handle:
        rows = [
            row for row in csv.DictReader(handle, delimiter=";") if row["level"] in ("municipality", "christiansoe")
        ]
    rows.sort(key=lambda row: row["code"])
    codes = tuple(row["code"] for row in rows)
    sizes = tuple(_size_class(code) for code in codes)
    rng = stream(seed, "places")
    size = np.array([rng.uniform(*_BOUNDS[name]) for name in sizes])
    provinces = tuple(row["province_code"] for row in rows)
    return Places(
        codes=codes,
        names=tuple(row["name_da"] for row in rows),
        regions=tuple(row["region_code"] for row in rows),
        provinces=provinces,
        sizes=sizes,
        size_2016=_order_metropolis(codes, size),
        urbanity=_urbanity(codes, provinces, sizes, rng),
        hops=_hops(provinces),
    )


def _size_class(code: str) -> str:
    if code == CHRISTIANSOE:
        return "islet"
    if code in _CAPITAL:
        return "capital"
    if code in _METROPOLIS:
        return "metropolis"
    if code in _LARGE.split():
        return "large"
    if code in _SMALL.split() + _SMALL_TOO.split():
        return "small"
    return "island" if code in _ISLANDS.split() else "middle"


def _order_metropolis(codes: tuple[str, ...], size: Floats) -> Floats:
    """Return the sizes with the three big cities in their usual order, whatever was drawn."""
    at = [codes.index(code) for code in _METROPOLIS]
    size[at] = np.sort(size[at])[::-1]
    return size


def _urbanity(
    codes: tuple[str, ...], provinces: tuple[str, ...], sizes: tuple[str, ...], rng: np.random.Generator
) -> Floats:
    by_size = {"capital": 1.0, "metropolis": 0.8, "large": 0.45, "middle": 0.3, "small": 0.2}
    base = np.array([by_size.get(name, 0.05) for name in sizes])
    base += np.array([0.25 if p in ("01", "02") else 0.12 if p in ("03", "05") else 0.0 for p in provinces])
    base += np.array([0.12 if code in _UNIVERSITY else 0.0 for code in codes])
    return np.clip(base + rng.normal(0, 0.05, len(codes)), 0, 1.0)


def _hops(provinces: tuple[str, ...]) -> Floats:
    """Return the distance in steps: borders between provinces, plus code distance inside (codes run by area)."""
    names = sorted(set(provinces))
    steps = np.full((len(names), len(names)), 9.0)
    np.fill_diagonal(steps, 0)
    for border in _BORDERS.split():
        a, b = (names.index(code) for code in border.split("-"))
        steps[a, b] = steps[b, a] = 3.0 if border == "01-04" else 1.0
    for via in range(len(names)):
        steps = np.minimum(steps, steps[:, [via]] + steps[[via], :])
    province = np.array([names.index(code) for code in provinces])
    rank = np.arange(len(provinces), dtype=float)
    near = np.minimum(np.abs(rank[:, None] - rank[None, :]) / 10.0, 1.0)
    return np.asarray(steps[np.ix_(province, province)] + near)
