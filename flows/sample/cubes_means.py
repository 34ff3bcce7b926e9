"""Tables of means: income (INDKP101), dwellings (BOL101), municipal accounts (REGK31)."""

from __future__ import annotations

import zlib

import numpy as np

from flows.sample.cubes_ask import Ask
from flows.sample.cubes_axes import contract
from flows.sample.population import day_of, split
from flows.sample.world_areas import Floats, Ints, stream
from flows.sample.world_conditions import at

# Share of persons with a type of income, and its size relative to disposable income (invented).
_INCOME: dict[str, tuple[float, float]] = {
    "100": (0.995, 1.0),
    "105": (0.99, 1.42),
    "110": (0.66, 1.0),
    "115": (0.64, 0.94),
    "120": (0.06, 0.06),
    "270": (0.02, 0.005),
    "275": (0.995, 1.12),
    "280": (0.45, 0.03),
    "285": (0.2, 0.005),
    "290": (0.97, 1.33),
}
_WOMEN_INCOME = 0.86
_FEW_PERSONS = 100
"""An average over fewer persons than this is not shown."""

_OCCUPANCY = {"1000": 0.90, "2000": 0.06, "5000": 0.04}
_TENURE = {"EJ": 0.50, "LEJ": 0.46, "IB": 0.02, "UOPL": 0.02}
_OWNER = {
    "EJ": {"10": 0.93, "20": 0.0, "30": 0.01, "41": 0.05, "SK": 0.0, "UOP2": 0.01},
    "LEJ": {"10": 0.26, "20": 0.46, "30": 0.17, "41": 0.03, "SK": 0.04, "UOP2": 0.04},
}
_USE = {"125": 0.44, "130": 0.15, "140": 0.37, "150": 0.015, "160": 0.005, "565": 0.01, "570": 0.01}
_CITY_TENURE = {"EJ": -0.9, "LEJ": 0.6}
_CITY_USE = {"125": -2.2, "140": 2.0}

_PROGRAMME_YEARS = 3.0
_BENEFIT_PER_YEAR_THOUSAND = 92.0
_REFUND = {"1": 1.0, "2": -0.35}
_OTHER_ACCOUNTS_THOUSAND = {"55771": 0.75, "55772": 0.05, "55773": 1.5, "55778": 1.2, "56890": 0.9}
"""Net thousand kroner per inhabitant of the other functions, invented."""
_REVENUE_SHARE = 0.06


def indkp101(ask: Ask, period: str) -> Floats:
    """Income by area, unit (persons, DKK 1,000, averages in DKK), sex and type of income, one year."""
    world, year = ask.world, int(period)
    people = world.population.everybody(day_of(year, 12, 31))[:, :, 15:].sum(axis=(2, 3))
    level = at(world.framework.income_dkk, year + 0.5)
    by_sex = np.array([1.0, _WOMEN_INCOME]) / (1 + _WOMEN_INCOME) * 2
    kinds = [_INCOME[code] for code in ask.leaves("INDKOMSTTYPE")]
    sizes = np.array([size for _, size in kinds])
    amount = np.floor(people[..., None] * level[:, None, None] * by_sex[:, None] * sizes / 1000 + 0.5)
    having = np.floor(people[..., None] * np.array([share for share, _ in kinds]) + 0.5)
    areas, sexes, types = ask.area("OMRÅDE"), ask.sex("KOEN"), ask.own("INDKOMSTTYPE")
    everyone = contract(people, [areas, sexes])[..., None] * np.ones(len(types))
    amounts, persons = contract(amount, [areas, sexes, types]), contract(having, [areas, sexes, types])
    figures = {
        "101": persons,
        "110": amounts,
        "116": _average(amounts, everyone),
        "121": _average(amounts, persons),
    }
    return np.stack([figures[code] for code in ask.selection["ENHED"]], axis=1)


def _average(thousands: Floats, persons: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(persons >= _FEW_PERSONS, np.floor(1000 * thousands / persons + 0.5), np.nan)


def bol101(ask: Ask, period: str) -> Floats:
    """Dwellings by area, resident, use, tenure, owner and year of construction, 1 January."""
    world, year = ask.world, int(period)
    people = at(world.framework.population, float(year))
    total = np.floor(people * at(world.framework.dwellings_per_person, float(year)) + 0.5).astype(np.int64)
    town = world.places.urbanity
    counts = split(total, _shares(ask, "BEBO", _OCCUPANCY))
    lean = town - 0.35
    tenures, owners = ask.leaves("UDLFORH"), ask.leaves("EJER")
    mix = np.array([[_TENURE[t] * _OWNER.get(t, _OWNER["LEJ"])[o] for o in owners] for t in tenures])
    to_city = np.array([_CITY_TENURE.get(tenure, 0.0) for tenure in tenures])
    mix = mix * np.exp(to_city[:, None] * lean[:, None, None])
    counts = _divide(ask, counts, mix.reshape(len(town), -1), "tenure")
    counts = counts.reshape(*counts.shape[:-1], len(tenures), len(owners))
    uses, built = ask.own("ANVENDELSE"), ask.own("OPFØRELSESÅR")
    to_city = np.array([_CITY_USE.get(code, 0.0) for code in ask.leaves("ANVENDELSE")])
    houses = _shares(ask, "ANVENDELSE", _USE) * np.exp(to_city * lean[:, None])
    # Totals need no split: it keeps the counts, so a summed dimension stays one axis of size one.
    counts, uses = (counts[..., None], uses[:, :1]) if _is_total(uses) else (_divide(ask, counts, houses, "use"), uses)
    if _is_total(built):
        counts, built = counts[..., None], built[:, :1]
    else:
        counts = _divide(ask, counts, _construction(ask, year, len(town)), "built")
    matrices = [ask.area("OMRÅDE"), ask.own("BEBO"), ask.own("UDLFORH"), ask.own("EJER"), uses, built]
    return np.transpose(contract(counts, matrices), (0, 1, 4, 2, 3, 5))


def _is_total(matrix: Floats) -> bool:
    return len(matrix) == 1 and bool(matrix.all())


def _shares(ask: Ask, dimension: str, shares: dict[str, float]) -> Floats:
    return np.array([shares[code] for code in ask.leaves(dimension)])


def _divide(ask: Ask, counts: Ints, shares: Floats, name: str) -> Ints:
    """Return counts split by place-specific shares (places × categories) over a new last axis."""
    shape = (*counts.shape, shares.shape[-1])
    local = shares.reshape(len(shares), *[1] * (counts.ndim - 1), -1)
    return split(counts, np.broadcast_to(local, shape), stream(ask.world.seed, name).random(counts.shape))


def _construction(ask: Ask, year: int, places: int) -> Floats:
    """Return shares of construction periods, places × periods; nothing is built after the reference day."""
    weights = []
    for code in ask.leaves("OPFØRELSESÅR"):
        first = 2100 if code == "UOPL" else 0 if code.startswith("-") else int(code[:4])
        weights.append(0.01 if code == "UOPL" else 0.0 if first >= year else 0.008 if first >= 2005 else 0.08)
    return np.tile(np.array(weights), (places, 1))


def regk31(ask: Ask, period: str) -> Floats:
    """Municipal accounts by area, function, dranst, kind and price unit: DKK 1,000 or DKK per inhabitant."""
    world, year = ask.world, int(period)
    people = world.population.everybody(day_of(year, 1, 1)).sum(axis=(1, 2, 3)).astype(float)
    functions = ask.leaves("FUNKTION")
    net = np.stack([_net_thousand(ask, code, year, people) for code in functions], axis=1)
    amounts = np.zeros((*net.shape, len(ask.leaves("DRANST")), len(ask.leaves("ART"))))
    for d, dranst in enumerate(ask.leaves("DRANST")):
        for a, kind in enumerate(ask.leaves("ART")):
            amounts[:, :, d, a] = np.floor(net * _REFUND.get(dranst, 0.0) * _kind_share(kind) + 0.5)
    areas = ask.area("OMRÅDE")
    cells = contract(amounts, [areas, ask.own("FUNKTION"), ask.own("DRANST"), ask.own("ART")])
    with np.errstate(divide="ignore", invalid="ignore"):
        per_head = np.floor(1000 * cells / contract(people, [areas])[:, None, None, None] + 0.5)
    figures = {"LOBM": cells, "INDL": per_head}
    return np.stack([figures[code] for code in ask.selection["PRISENHED"]], axis=-1)


def _kind_share(kind: str) -> float:
    """Return the share of the net total booked on a kind: gross less revenue is the total."""
    known = {"TOT": 1.0, "UE": 1 + _REVENUE_SHARE, "I": -_REVENUE_SHARE, "S1": 0.3}
    return known.get(kind, 0.01)


def _net_thousand(ask: Ask, function: str, year: int, people: Floats) -> Floats:
    """Return net running costs of a function in DKK 1,000 per place."""
    world, traits = ask.world, ask.world.traits
    day = day_of(year, 7, 1)
    recent = traits.present_at(day) & (traits.takeover_day > day - _PROGRAMME_YEARS * 365.25)
    in_programme = world.population.count(day, recent).sum(axis=(1, 2))
    noise = np.exp(stream(world.seed, f"accounts {function} {year}").normal(0, 0.06, len(people)))
    if function == "54660":
        return np.asarray(in_programme * at(world.framework.spending_dkk, year + 0.5) / 1000 * noise)
    if function == "54661":
        idle = recent.copy()
        idle[world.careers.job_person[world.population.jobs_on(day)]] = False
        unpaid = world.population.count(day, idle).sum(axis=(1, 2))
        return np.asarray(unpaid * _BENEFIT_PER_YEAR_THOUSAND * noise)
    if function == "54665":
        return np.asarray(in_programme * 1.5 * noise)
    level = _OTHER_ACCOUNTS_THOUSAND.get(function, 0.01 * (1 + zlib.crc32(function.encode()) % 5))
    return np.asarray(people * level * noise)
