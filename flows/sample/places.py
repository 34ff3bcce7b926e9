"""The stage of the sample world: the real municipalities with invented sizes and an invented map.

Names, codes, regions and provinces are facts (`transforms/reference/areas.csv`). Everything else is
drawn: a size inside a rough class, a kind of place, and the pull between any two municipalities.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flows.sample.truth import INVENTED, column
from transforms.areas import areas_at

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHRISTIANSOE = "411"
_UNIVERSITY = ("101", "147", "461", "751", "851", "265", "173")
# Which provinces touch (bridges count); a fact of the map, used for commuting only.
_BORDERS = "01-02 02-03 02-05 01-05 03-05 05-06 06-07 07-08 08-09 08-10 09-10 09-11 10-11 01-04"


@dataclass(frozen=True)
class Places:
    """The 98 municipalities and Christiansø in code order, with what never changes about them."""

    codes: tuple[str, ...]
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


def read_places(seed: int) -> Places:
    """Return the places of the world of `seed`; sizes are invented, codes and names are not."""
    areas = sorted(areas_at(["municipality", "christiansoe"]), key=lambda area: area.code)
    codes = tuple(area.code for area in areas)
    named = {code: name for name, size in INVENTED["sizes"].items() for code in size.get("places", "").split()}
    sizes = tuple(named.get(code, "middle") for code in codes)
    rng = stream(seed, "places")
    size = np.array([rng.uniform(*INVENTED["sizes"][name]["bounds"]) for name in sizes])
    provinces = tuple(area.province_code for area in areas)
    return Places(
        codes=codes,
        regions=tuple(area.region_code for area in areas),
        provinces=provinces,
        sizes=sizes,
        size_2016=_order_metropolis(codes, size),
        urbanity=_urbanity(codes, provinces, sizes, rng),
        hops=_hops(provinces),
    )


def _order_metropolis(codes: tuple[str, ...], size: Floats) -> Floats:
    """Return the sizes with the three big cities in their usual order, whatever was drawn."""
    at = [codes.index(code) for code in INVENTED["sizes"]["metropolis"]["places"].split()]
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


# The framework conditions of the sample world: one invented value per municipality and year.
#
# Every array is places × years; years run from FIRST_YEAR to LAST_YEAR and everything moves smoothly,
# so a value at any date is an interpolation.


FIRST_YEAR = 2007
LAST_YEAR = 2026
YEARS = np.arange(FIRST_YEAR, LAST_YEAR + 1)

_INDUSTRIES: dict[str, dict[str, Any]] = INVENTED["industries"]
INDUSTRIES = tuple(_INDUSTRIES)
"""Industries of DB07 as the labour market accounts group them (letters), in the publisher's order."""
MANUFACTURING = np.array([code.startswith("C") for code in INDUSTRIES])
PUBLIC = np.array([code in ("O", "P", "QA", "QB") for code in INDUSTRIES])
TEN_GROUP = tuple(str(row["ten"]) for row in _INDUSTRIES.values())
"""The ten-group code of each letter group (1 agriculture ... 10 culture and other services, 11 not stated)."""
# National shocks: unemployment in pct. of the labour force per year 2007..2026 (invented path with a
# crisis, a slow recovery, a short dip and a calm end).
_UNEMPLOYMENT = np.array(
    [3.3, 2.6, 4.9, 6.2, 6.1, 6.2, 5.8, 5.2, 4.7, 4.3, 4.3, 4.0, 3.8, 5.0, 3.9, 2.8, 2.9, 3.1, 3.2, 3.2]
)


WOMEN_LEAN = column("industries", "women") / 10
NEWCOMER_LEAN = column("industries", "newcomers") / 10


@dataclass(frozen=True)
class Conditions:
    """Framework conditions; arrays are places × years unless said otherwise."""

    population: Floats
    western_share: Floats
    non_western_share: Floats
    descendant_share: Floats
    """Descendants of non-western immigrants in the population."""
    age_tilt: Floats
    student_bump: Floats
    """Places only: how much the twenties stick out."""
    unemployment_pct: Floats
    employment_shift: Floats
    """Logit shift of employment rates."""
    education_lean: Floats
    """Places only: logit lean towards longer education."""
    industry_mix: Floats
    """places × industries: shares of jobs at the workplace."""
    commuting: Floats
    """places × (places + abroad): where residents work, rows sum to one."""
    income_dkk: Floats
    dwellings_per_person: Floats
    spending_dkk: Floats
    """Integration spending per programme person and year."""

    @property
    def manufacturing_share(self) -> Floats:
        """Return the share of jobs in manufacturing within commuting reach, per place."""
        return np.asarray(self.commuting[:, :-1] @ self.industry_mix[:, MANUFACTURING].sum(axis=1))

    @property
    def newcomer_demand(self) -> Floats:
        """Return how much the jobs in reach lean to industries that hire newcomers, per place."""
        return np.asarray(self.commuting[:, :-1] @ (self.industry_mix @ NEWCOMER_LEAN))

    def reach_unemployment(self) -> Floats:
        """Return unemployment in pct. within commuting reach, places × years."""
        inside = self.commuting[:, :-1] / self.commuting[:, :-1].sum(axis=1, keepdims=True)
        return np.asarray(inside @ self.unemployment_pct)


def at(values: Floats, when: float) -> Floats:
    """Return a places × years array interpolated at a decimal year."""
    position = float(np.clip(when - FIRST_YEAR, 0, len(YEARS) - 1.000001))
    low = int(position)
    part = position - low
    return np.asarray(values[:, low] * (1 - part) + values[:, low + 1] * part)


def standardise(values: Floats) -> Floats:
    """Return values with mean 0 and standard deviation 1, 0 where unknown."""
    known = np.isfinite(values)
    return np.where(known, (values - values[known].mean()) / values[known].std(), 0.0)


def draw_conditions(seed: int, places: Places) -> Conditions:
    """Return the framework conditions of the world of `seed`."""
    rng = stream(seed, "conditions")
    n = len(places.codes)
    town = places.urbanity
    t = (YEARS - 2016).astype(float)
    growth = 0.010 * (town - 0.28) + rng.normal(0, 0.002, n)
    population = places.size_2016[:, None] * np.exp(growth[:, None] * t + 0.002 * t)
    vestegn = np.array([p == "02" for p in places.provinces]) * rng.uniform(0, 1, n)
    non_western = (0.012 + 0.030 * town + 0.045 * vestegn + rng.gamma(2.0, 0.002, n))[:, None] * np.exp(0.02 * t)
    mix = _industry_mix(rng, town)
    hardship = rng.normal(0, 0.5, n) + 0.6 * (town < 0.3) + 0.8 * (vestegn > 0.5)
    return Conditions(
        population=population,
        western_share=(0.018 + 0.045 * town + rng.gamma(2, 0.003, n))[:, None] * np.exp(0.035 * t),
        non_western_share=non_western,
        descendant_share=non_western * (0.45 + 0.02 * t),
        age_tilt=(0.75 - 1.5 * town + rng.normal(0, 0.12, n))[:, None] + 0.012 * t,
        student_bump=np.where(town > 0.75, 1.2, 0.15) * rng.uniform(0.7, 1.3, n),
        unemployment_pct=_UNEMPLOYMENT[None, :]
        * np.exp(0.18 * hardship + rng.normal(0, 0.08, n))[:, None]
        * _wander(rng, n, 0.04),
        employment_shift=-0.16 * hardship[:, None] - 0.045 * (_UNEMPLOYMENT - 4.2)[None, :] + 0.008 * t,
        education_lean=2.2 * (town - 0.35) - 0.25 * hardship + rng.normal(0, 0.15, n),
        industry_mix=mix,
        commuting=_commuting(rng, places),
        income_dkk=(205_000 * np.exp(0.25 * (town - 0.3) - 0.06 * hardship))[:, None]
        * np.exp(0.025 * t)
        * _wander(rng, n, 0.006),
        dwellings_per_person=(0.46 + 0.05 * town + rng.normal(0, 0.01, n))[:, None] + 0.0006 * t,
        spending_dkk=(rng.gamma(14, 80_000 / 14, n).clip(40_000, 220_000))[:, None] * np.exp(0.015 * t),
    )


def _wander(rng: np.random.Generator, n: int, sd: float) -> Floats:
    """Return a smooth multiplicative random walk, places × years, 1 in the middle."""
    walk = np.cumsum(rng.normal(0, sd, (n, len(YEARS))), axis=1)
    return np.asarray(np.exp(walk - walk[:, [9]]))


def _industry_mix(rng: np.random.Generator, town: Floats) -> Floats:
    lean = np.outer(town - 0.35, column("industries", "city") / 4)
    log = np.log(column("industries", "jobs"))[None, :] + lean + rng.normal(0, 0.35, (len(town), len(INDUSTRIES)))
    share = np.exp(log)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _commuting(rng: np.random.Generator, places: Places) -> Floats:
    """Return the gravity model: jobs attract, borders repel, home weighs most; last column is abroad."""
    attraction = places.size_2016**0.9 * np.exp(1.1 * places.urbanity)
    pull = attraction[None, :] * np.exp(-1.9 * places.hops + rng.normal(0, 0.35, places.hops.shape))
    np.fill_diagonal(pull, 0)
    pull /= pull.sum(axis=1, keepdims=True)
    suburb = np.isin(np.array(places.provinces), ("01", "02", "03", "05"))
    home = np.clip(0.66 - 0.25 * suburb + 0.10 * places.urbanity + rng.normal(0, 0.05, len(suburb)), 0.2, 0.9)
    abroad = np.where(suburb, 0.004, 0.003) * rng.uniform(0.5, 1.5, len(suburb))
    flows = pull * (1 - home - abroad)[:, None]
    flows[np.arange(len(home)), np.arange(len(home))] = home
    return np.column_stack([flows, abroad])
