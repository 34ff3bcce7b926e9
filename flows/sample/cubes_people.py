"""Tables of who lives where: FOLK1A, FOLK1AM, FOLK1E, INDOPH1, HFUDD11, VAN1AAR."""

from __future__ import annotations

import zlib

import numpy as np

from flows.sample.cubes_ask import Ask
from flows.sample.cubes_axes import contract
from flows.sample.persons import BASES, ORIGINS
from flows.sample.population import AGES, ANCESTRIES, NON_WESTERN, Population, day_of, split
from flows.sample.world_areas import Floats, Ints, stream
from flows.sample.world_conditions import at
from transforms.errors import UsageError

_CELL_LIMIT = 40_000_000
# Invented shares of first residence permits among immigrants who are not in the target group.
_PERMITS_WESTERN = {"501": 38, "601": 12, "901": 20, "999": 22, "15": 5, "801": 3}
_PERMITS_NON_WESTERN = {
    "13": 20, "14": 10, "15": 22, "16": 10, "502": 9, "602": 6, "701": 2, "801": 18, "501": 2, "901": 1
}  # fmt: skip
_UKRAINE_FROM = 2023
_TARGET_PERMIT = {"asylum": "13", "family_of_refugee": "14", "other_family": "16"}
# Invented shares of highest completed education (H10 … H90) per ancestry, ages 30-64.
_EDUCATION = {
    "H10": (20, 14, 33, 22, 30),
    "H20": (8, 9, 12, 18, 20),
    "H30": (37, 22, 14, 28, 22),
    "H35": (0.2, 0.2, 0.3, 0.2, 0.3),
    "H40": (5, 5, 4, 6, 5),
    "H50": (17, 10, 7, 12, 9),
    "H60": (3, 6, 4, 5, 5),
    "H70": (9, 20, 7, 8, 7),
    "H80": (0.8, 3, 0.6, 0.5, 0.3),
    "H90": (1, 11, 18, 1.3, 1.4),
}
_EDUCATION_CITY = {"H10": -0.5, "H20": 0.3, "H30": -0.5, "H50": 0.2, "H60": 0.9, "H70": 1.1, "H80": 1.2}
# Citizenship codes of the target group's origins, and invented weights of other citizens who move in.
_CITIZENSHIP = {
    "SYR": "5486", "ERI": "5216", "AFG": "5404", "IRN": "5438", "IRQ": "5436", "SOM": "5289", "MMR": "5414",
    "COD": "5278",
}  # fmt: skip
_MOVING_IN = {
    "5100": 180, "5154": 60, "5158": 70, "5180": 60, "5611": 25, "5110": 30, "5120": 25, "5150": 30, "5170": 25,
    "5390": 30, "5432": 40, "5128": 20, "5704": 25, "5103": 4, "5258": 2, "5214": 2, "5486": 3,
}  # fmt: skip


def day_of_period(period: str) -> int:
    """Return the first day of a year, quarter (2016K1) or month (2016M01)."""
    year, part = int(period[:4]), int(period[5:] or 1)
    return day_of(year, 1 + 3 * (part - 1) if "K" in period else part, 1)


def folk1a(ask: Ask, period: str) -> Floats:
    """Population by area, sex, age and marital status."""
    counts = ask.world.population.everybody(day_of_period(period)).sum(axis=3)
    areas, sexes, ages = ask.area("OMRÅDE"), ask.sex("KØN"), ask.age("ALDER")
    states = ask.own("CIVILSTAND")
    if (states == 1).all():
        return np.repeat(contract(counts, [areas, sexes, ages])[..., None], len(states), axis=-1)
    return contract(_marital(ask, counts), [areas, sexes, ages, states])


def folk1am(ask: Ask, period: str) -> Floats:
    """Population by area, sex and age."""
    counts = ask.world.population.everybody(day_of_period(period)).sum(axis=3)
    return contract(counts, [ask.area("OMRÅDE"), ask.sex("KØN"), ask.age("ALDER")])


def folk1e(ask: Ask, period: str) -> Floats:
    """Population by area, sex, age and ancestry."""
    counts = ask.world.population.everybody(day_of_period(period))
    return contract(counts, [ask.area("OMRÅDE"), ask.sex("KØN"), ask.age("ALDER"), ask.ancestry("HERKOMST")])


def _marital(ask: Ask, counts: Ints) -> Ints:
    """Return counts split by marital status: never married, married, widowed, divorced (by age and sex)."""
    a = AGES.astype(float)
    never = np.where(a < 18, 1.0, 0.07 + 0.93 / (1 + np.exp((a - 32) / 6)))
    rest = 1 - never
    out = []
    for sex_lean in (0.0, 8.0):
        widowed = 0.85 / (1 + np.exp(-(a - 86 + sex_lean) / 6))
        divorced = np.minimum(0.20, 0.20 * np.clip((a - 30) / 20, 0, 1)) * (1 - widowed)
        out.append(np.stack([never, rest * (1 - widowed - divorced), rest * widowed, rest * divorced], axis=1))
    offset = stream(ask.world.seed, "marital status").random(counts.shape)
    return split(counts, np.broadcast_to(np.stack(out), (*counts.shape, 4)), offset)


def indoph1(ask: Ask, period: str) -> Floats:
    """Immigrants by first residence permit and area, 1 January."""
    world, day = ask.world, day_of_period(period)
    population: Population = world.population
    background = population.background(day).sum(axis=(1, 2))
    codes = ask.leaves("OPHGR1")
    non_western = dict(_PERMITS_NON_WESTERN)
    if int(period) >= _UKRAINE_FROM:
        non_western["52"] = 12
    offset = stream(world.seed, "first permit").random((2, len(world.places.codes)))
    counts = split(background[:, 1], _weights(codes, _PERMITS_WESTERN), offset[0])
    counts += split(background[:, NON_WESTERN], _weights(codes, non_western), offset[1])
    traits = world.traits
    present = traits.present_at(day)
    permit = np.array([codes.index(_TARGET_PERMIT[basis]) for basis in BASES])[traits.basis[present]]
    np.add.at(counts, (traits.place_at(day)[present], permit), 1)
    return contract(counts.T, [ask.own("OPHGR1"), ask.area("OMRÅDE")])


def _weights(codes: list[str], weights: dict[str, int]) -> Floats:
    return np.array([float(weights.get(code, 0)) for code in codes])


def hfudd11(ask: Ask, period: str) -> Floats:
    """Persons aged 15-69 by area, ancestry, highest completed education, age and sex, 1 October."""
    world = ask.world
    people = world.population.everybody(day_of(int(period), 10, 1))[:, :, 15:70]
    groups = np.add.reduceat(people, np.arange(0, 55, 5), axis=2)
    codes = ask.leaves("HFUDD")
    base = np.log(np.array([_EDUCATION[code] for code in codes])).T
    age = np.arange(17, 70, 5)
    young = np.array([{"H10": 4.2, "H20": 2.0, "H90": 0.5}.get(code, -1.0) for code in codes])
    old = np.array([{"H10": 0.6, "H60": -0.8, "H70": -0.4}.get(code, 0.0) for code in codes])
    lean = base[None] + (np.exp(-np.maximum(age - 16, 0) / 4.5)[:, None] * young)[:, None]
    lean = lean + (np.clip((age - 45) / 20, 0, 1)[:, None] * old)[:, None]
    city = np.array([_EDUCATION_CITY.get(code, 0.0) for code in codes])
    shares = np.exp(lean[None] + world.framework.education_lean[:, None, None, None] * city)
    shares = np.broadcast_to(shares[:, None], (*groups.shape, len(codes)))
    offset = stream(world.seed, "education").random(groups.shape)
    cells = np.transpose(split(groups, shares, offset), (0, 3, 4, 2, 1))
    matrices = [ask.area("BOPOMR"), ask.ancestry("HERKOMST"), ask.own("HFUDD"), ask.own("ALDER"), ask.sex("KØN")]
    return contract(cells, matrices)


def van1aar(ask: Ask, period: str) -> Floats:
    """Persons who moved to Denmark in a year by area, sex, age, country of last residence and citizenship."""
    rows = _moved_in(ask, int(period))
    weights = [
        ask.area("OMRÅDE"),
        ask.sex("KØN"),
        ask.age("ALDER"),
        ask.own("INDVLAND"),
        ask.own("STATSB"),
    ]
    cells, kept = np.ones(len(rows[0]), dtype=bool), []
    for axis, matrix in enumerate(weights):
        used = np.flatnonzero(matrix.any(axis=0))
        if len(matrix) == 1:
            used = used[:1]  # one sum over the whole dimension: its leaves need no axis of their own
        place = np.full(matrix.shape[1], -1)
        place[np.flatnonzero(matrix.any(axis=0))] = 0 if len(matrix) == 1 else np.arange(len(used))
        kept.append((place[rows[axis]], len(used), matrix[:, used]))
        cells &= place[rows[axis]] >= 0
    shape = tuple(size for _, size, _ in kept)
    if np.prod([float(size) for size in shape]) > _CELL_LIMIT:
        raise UsageError("VAN1AAR: too many cells for the sample world; ask for fewer codes or leave a variable out")
    flat = np.ravel_multi_index([place[cells] for place, _, _ in kept], shape)
    counts = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
    return contract(counts, [matrix for _, _, matrix in kept])


def _moved_in(ask: Ask, year: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Return one row per person who moved in: place, sex, age, last residence, citizenship (positions)."""
    world, codes = ask.world, ask.leaves("STATSB")
    rng = stream(world.seed, f"moved in {year}")
    traits = world.traits
    arrived = (traits.takeover_day >= day_of(year, 1, 1)) & (traits.takeover_day < day_of(year + 1, 1, 1))
    origin = np.array([codes.index(_CITIZENSHIP[name]) for name in ORIGINS])[traits.origin[arrived]]
    age = traits.age_at(day_of(year, 12, 31))[arrived]
    extra = np.clip(at(world.framework.population, year + 0.5) * 0.010, 0, None)
    place = np.repeat(np.arange(len(extra)), rng.poisson(extra))
    weight = np.array([float(_MOVING_IN.get(code, 1 + zlib.crc32(code.encode()) % 3)) for code in codes])
    citizen = rng.choice(len(codes), len(place), p=weight / weight.sum())
    citizens = np.concatenate([origin, citizen])
    elsewhere = rng.choice(len(codes), len(citizens), p=weight / weight.sum())
    from_home = rng.random(len(citizens)) < 0.88
    residence = np.where(from_home, citizens, elsewhere)
    at_home = codes.index("5100")
    residence = np.where(residence == at_home, codes.index("5110"), residence)
    return (
        np.concatenate([traits.place[arrived], place]),
        np.concatenate([traits.is_woman[arrived].astype(np.int64), rng.integers(0, 2, len(place))]),
        np.clip(np.concatenate([age, rng.gamma(6, 4.6, len(place)).astype(np.int64)]), 0, AGES[-1]),
        residence,
        citizens,
    )


assert len(ANCESTRIES) == len(_EDUCATION["H10"])
