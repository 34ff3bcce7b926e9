"""How each StatBank table of the sample world is counted: one function per table, named after it.

One module, since a table's recipe is found by its name; those of one subject stand together.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from flows.sample.axes import Ask, contract, lookup, matrix
from flows.sample.people import BASES, day_of
from flows.sample.places import TEN_GROUP, Floats, Ints, at, stream
from flows.sample.truth import INVENTED
from flows.sample.world import (
    AGES,
    ANCESTRIES,
    COUNTRY_ANCESTRY,
    EMPLOYED,
    NON_WESTERN,
    OUTSIDE,
    UNEMPLOYED,
    decimal_year,
    split,
)
from transforms.errors import UsageError
from transforms.periods import span

_CELL_LIMIT = 40_000_000
_UKRAINE_FROM = 2023
_TARGET_PERMIT = {"asylum": "13", "family_of_refugee": "14", "other_family": "16"}


def folk1a(ask: Ask, period: str) -> Floats:
    """Population by area, sex, age and marital status."""
    counts = ask.world.population.everybody(day_of(span(period)[0])).sum(axis=3)
    states = ask.axis("CIVILSTAND", "own")
    if (states == 1).all():
        return np.repeat(folk1am(ask, period)[..., None], len(states), axis=-1)
    return ask.sums(_marital(ask, counts), OMRÅDE="area", KØN="sex", ALDER="age", CIVILSTAND="own")


def folk1am(ask: Ask, period: str) -> Floats:
    """Population by area, sex and age."""
    counts = ask.world.population.everybody(day_of(span(period)[0])).sum(axis=3)
    return ask.sums(counts, OMRÅDE="area", KØN="sex", ALDER="age")


def folk1e(ask: Ask, period: str) -> Floats:
    """Population by area, sex, age and ancestry."""
    counts = ask.world.population.everybody(day_of(span(period)[0]))
    return ask.sums(counts, OMRÅDE="area", KØN="sex", ALDER="age", HERKOMST="ancestry")


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
    world, day = ask.world, day_of(span(period)[0])
    background = world.population.background(day).sum(axis=(1, 2))
    codes = ask.leaves("OPHGR1")
    non_western = dict(INVENTED["permits_non_western"])
    if int(period) >= _UKRAINE_FROM:
        non_western["52"] = 12
    offset = stream(world.seed, "first permit").random((2, len(world.places.codes)))
    counts = split(background[:, 1], _by_code(codes, INVENTED["permits_western"]), offset[0])
    counts += split(background[:, NON_WESTERN], _by_code(codes, non_western), offset[1])
    traits = world.traits
    present = traits.present_at(day)
    permit = np.array([codes.index(_TARGET_PERMIT[basis]) for basis in BASES])[traits.basis[present]]
    np.add.at(counts, (traits.place_at(day)[present], permit), 1)
    return ask.sums(counts.T, OPHGR1="own", OMRÅDE="area")


def _by_code(codes: Sequence[str], known: Mapping[str, float], otherwise: float = 0.0) -> Floats:
    """Return the figure of each code."""
    return np.array([float(known.get(code, otherwise)) for code in codes])


def hfudd11(ask: Ask, period: str) -> Floats:
    """Persons aged 15-69 by area, ancestry, highest completed education, age and sex, 1 October."""
    world = ask.world
    people = world.population.everybody(day_of(date(int(period), 10, 1)))[:, :, 15:70]
    groups = np.add.reduceat(people, np.arange(0, 55, 5), axis=2)
    codes = ask.leaves("HFUDD")
    base = np.log(np.array([INVENTED["education"][code] for code in codes])).T
    age = np.arange(17, 70, 5)
    young = _by_code(codes, {"H10": 4.2, "H20": 2.0, "H90": 0.5}, otherwise=-1.0)
    old = _by_code(codes, {"H10": 0.6, "H60": -0.8, "H70": -0.4})
    lean = base[None] + (np.exp(-np.maximum(age - 16, 0) / 4.5)[:, None] * young)[:, None]
    lean = lean + (np.clip((age - 45) / 20, 0, 1)[:, None] * old)[:, None]
    city = _by_code(codes, INVENTED["education_city"])
    shares = np.exp(lean[None] + world.framework.education_lean[:, None, None, None] * city)
    shares = np.broadcast_to(shares[:, None], (*groups.shape, len(codes)))
    offset = stream(world.seed, "education").random(groups.shape)
    cells = np.transpose(split(groups, shares, offset), (0, 3, 4, 2, 1))
    return ask.sums(cells, BOPOMR="area", HERKOMST="ancestry", HFUDD="own", ALDER="own", KØN="sex")


def van1aar(ask: Ask, period: str) -> Floats:
    """Persons who moved to Denmark in a year by area, sex, age, country of last residence and citizenship."""
    rows = _moved_in(ask, int(period))
    kinds = {"OMRÅDE": "area", "KØN": "sex", "ALDER": "age", "INDVLAND": "own", "STATSB": "own"}
    # Leaves that the question does not tell apart share one column: all of them when a dimension is summed.
    columns = [np.unique(ask.axis(*each), axis=1, return_inverse=True) for each in kinds.items()]
    shape = tuple(matrix.shape[1] for matrix, _ in columns)
    if math.prod(shape) > _CELL_LIMIT:
        raise UsageError("VAN1AAR: too many cells for the sample world; ask for fewer codes or leave a variable out")
    flat = np.ravel_multi_index([column[row] for (_, column), row in zip(columns, rows, strict=True)], shape)
    counts = np.bincount(flat, minlength=math.prod(shape)).reshape(shape)
    return contract(counts, [matrix for matrix, _ in columns])


def _moved_in(ask: Ask, year: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Return one row per person who moved in: place, sex, age, last residence, citizenship (positions)."""
    world, codes = ask.world, ask.leaves("STATSB")
    rng = stream(world.seed, f"moved in {year}")
    traits = world.traits
    arrived = (traits.takeover_day >= day_of(date(year, 1, 1))) & (traits.takeover_day < day_of(date(year + 1, 1, 1)))
    origin = np.array([codes.index(row["citizenship"]) for row in INVENTED["origins"].values()])[traits.origin[arrived]]
    age = traits.age_at(day_of(date(year, 12, 31)))[arrived]
    extra = np.clip(at(world.framework.population, year + 0.5) * 0.010, 0, None)
    place = np.repeat(np.arange(len(extra)), rng.poisson(extra))
    others = {code: 1 + zlib.crc32(code.encode()) % 3 for code in codes}
    weight = _by_code(codes, others | INVENTED["moving_in"])
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


# Tables of work: RAS200, RAS201, RAS302, RAS308, PEND100, PEND101, ERHV2.


# Wide age groups that the publisher added later: before their first year the cells hold no figure.
_LATER_AGES = {"16-65": 2020, "1666": 2022}
# Two of the publisher's groups end inside one of its own leaves, so their ages are spelled out here.
_WIDE_AGES = {"16-65": (16, 65), "1666": (16, 66)}
_ORIGIN_GROUP = {"30": (0,), "32": (1,), "34": (2,), "36": (3,), "38": (4,)}
_DESCENDANTS_PER_IMMIGRANT = {1: 3, 2: 4}


def rate(part: Floats, whole: Floats, factor: int = 100, decimals: int = 1) -> Floats:
    """Return factor × part / whole rounded half up to the decimals; NaN where the whole is 0."""
    step = 10**decimals
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, np.floor(factor * step * part / whole + 0.5 + 1e-9) / step, np.nan)


def ras201(ask: Ask, period: str) -> Floats:
    """Persons by area, labour market status, ancestry, age and sex, end of November."""
    counts, _ = ask.world.population.status(int(period))
    return ask.sums(counts, OMRÅDE="area", KØN="sex", ALDER="age", HERKOMST="ancestry", SOCIO="own")


def ras200(ask: Ask, period: str) -> Floats:
    """Employment and activity rates in pct. by area, ancestry, age and sex, from the counts of RAS201."""
    counts, _ = ask.world.population.status(int(period))
    ages = ask.axis("ALDER", "age").copy()
    for row, code in enumerate(ask.selection["ALDER"]):
        if code in _WIDE_AGES:
            low, high = _WIDE_AGES[code]
            ages[row] = 0
            ages[row, low : high + 1] = 1
    employed, seeking, outside = (
        ask.sums(counts[..., status], OMRÅDE="area", KØN="sex", ALDER=ages, HERKOMST="ancestry")
        for status in (EMPLOYED, UNEMPLOYED, OUTSIDE)
    )
    whole = employed + seeking + outside
    part = {"BFK": employed, "EFK": employed + seeking}
    out = np.stack([rate(part[code], whole) for code in ask.selection["BEREGNING"]], axis=-1)
    for column, code in enumerate(ask.selection["ALDER"]):
        if int(period) < _LATER_AGES.get(code, 0):
            out[:, :, column] = np.nan
    return out


def ras302(ask: Ask, period: str) -> Floats:
    """Employed residents by area, industry, socio-economic group, age and sex, end of November."""
    cells = ask.world.labour.detailed(int(period))
    return ask.sums(cells, OMRÅDE="area", BRANCHE07="industry", SOCIO="own", ALDER="age_group", KØN="sex")


def ras308(ask: Ask, period: str) -> Floats:
    """Employed by country of origin, industry, socio-economic group, age and sex, whole country.

    A country is a share of its group's immigrants and, smaller, of its descendants.
    """
    year, labour = int(period), ask.world.labour
    cells = labour.origins(year)
    kinds = {"BRANCHE07": "industry", "SOCIO": "own", "ALDER": "age_group", "KØN": "sex"}
    leaves = contract(cells, [None, *(ask.axis(*each) for each in kinds.items())])
    out = []
    for code in ask.codes("OPRINDLAND"):
        if code.code in COUNTRY_ANCESTRY:
            group, share = labour.country_share(code.code, year)
            young = share / _DESCENDANTS_PER_IMMIGRANT[group]
            out.append(np.floor(leaves[group] * share + leaves[group + 2] * young + 0.5))
        else:
            known = ask.known("OPRINDLAND")
            weights = matrix([code], known, lookup(_ORIGIN_GROUP), len(ANCESTRIES))
            out.append(contract(leaves, [weights, *[None] * 4])[0])
    return np.stack(out)


def pend100(ask: Ask, period: str) -> Floats:
    """Employed by area of residence, area of workplace (950 abroad) and sex, end of November."""
    flows = ask.world.labour.sums(int(period)).matrix
    return ask.sums(flows, BOPKOM="area", ARBEJDSSTED="area", KØN="sex")


def pend101(ask: Ask, period: str) -> Floats:
    """Employed by area, industry, direction of commuting and sex: night, in, out and day population."""
    sums = ask.world.labour.sums(int(period))
    night, day = sums.residents, sums.workers
    by_direction = {"NAT": night, "IND": day - sums.at_home, "UD": night - sums.at_home, "DAG": day}
    cells = np.stack([by_direction[code] for code in ask.leaves("PENDLING")], axis=2)
    return ask.sums(cells, OMRÅDE="area", BRANCHE07="industry", PENDLING="own", KØN="sex")


def erhv2(ask: Ask, period: str) -> Floats:
    """Workplaces and jobs by area of workplace and industry (ten groups), end of November."""
    world = ask.world
    sums = world.labour.sums(int(period))
    mains = sums.workers.sum(axis=2)
    ten = np.array([[group == str(wanted) for group in TEN_GROUP] for wanted in range(1, 12)], dtype=float)
    mains = mains @ ten.T.astype(np.int64)
    abroad = sums.matrix[:, -1].sum()
    mains = np.vstack([mains, np.floor(abroad * ten.sum(axis=1) / ten.sum()).astype(np.int64)])
    offset = stream(world.seed, "jobs").random((2, *mains.shape))
    jobs = mains + np.floor(0.07 * mains + offset[0]).astype(np.int64) * (mains > 0)
    workplaces = np.where(jobs > 0, np.maximum(1, np.floor(jobs / 9.5 + offset[1])), 0)
    cells = np.stack([{"ARBSTED": workplaces, "ANSATTE": jobs}[code] for code in ask.leaves("TAL")], axis=2)
    if not ask.source.dimension("OMRÅDE").extra_codes:
        cells = cells[:-1]
    return ask.sums(cells, OMRÅDE="area", BRANCHEDB0710="ten_group", TAL="own")


# Tables of unemployment and public support: AULKP01, AUK01, KY038.


_BENEFIT_AGES = (16, 25, 30, 35, 40, 45, 50, 55, 60)
_OLDEST = 66
# More are without work in the first quarter, fewer in the third.
_SEASON = {"1": 1.08, "2": 0.97, "3": 0.95, "4": 1.0}
_FOLLOWS_UNEMPLOYMENT = ("DP", "KT", "TOTVO")
_NOT_HARDSHIP = ("SU", "TOTAN", "FD", "EL", "TP")
_RESIDUAL_SHARES = {"997": 0.0004, "998": 0.0002}
_INTRODUCTION_BENEFIT = "10020"
_ORIGIN_ANCESTRY = (("1", "10"), ("2", "20"), ("2", "30"), ("9", "20"), ("9", "30"), ("000", "40"))
_INTRODUCTION_YEARS = 7


def _benefit_ages(counts: Ints | Floats, axis: int) -> Any:
    """Return counts with the axis of single ages summed to the nine age groups of the benefit tables."""
    return np.add.reduceat(np.take(counts, np.arange(_OLDEST + 1), axis=axis), _BENEFIT_AGES, axis=axis)


def aulkp01(ask: Ask, period: str) -> Floats:
    """Full-time unemployed in pct. of the labour force by area, age and sex, one quarter."""
    status, _ = ask.world.population.status(int(period[:4]))
    counts = _benefit_ages(status.sum(axis=3), axis=2)
    offset = stream(ask.world.seed, "unemployed").random(counts.shape[:-1])
    unemployed = np.floor(counts[..., UNEMPLOYED] * _SEASON[period[-1]] + offset)
    force = counts[..., UNEMPLOYED] + counts[..., EMPLOYED]
    axes = {"OMRÅDE": "area", "KØN": "sex", "ALDER": "own"}
    return rate(ask.sums(np.minimum(unemployed, force), **axes), ask.sums(force, **axes))


def _on_benefit(ask: Ask, day: int, years: float) -> Ints:
    """Return who of the target group, `years` at most after take-over, has no job: places × sexes × ages."""
    world, t = ask.world, ask.world.traits
    idle = t.present_at(day) & (t.takeover_day > day - years * 365.25) & (t.age_at(day) < _OLDEST)
    idle[world.careers.job_person[world.population.jobs_on(day)]] = False
    return world.population.count(day, idle)


def with_residuals(counts: Ints, codes: Sequence[str]) -> Ints:
    """Return counts with a row for each residual area, a small share of everybody; no total holds them."""
    everybody = counts.sum(axis=0)
    residuals = [np.floor(_RESIDUAL_SHARES[code] * everybody).astype(np.int64)[None] for code in codes]
    return np.concatenate([counts, *residuals])


def auk01(ask: Ask, period: str) -> Floats:
    """Persons on public support, full-time recipients, by area, benefit, sex and age, one quarter."""
    world, day = ask.world, day_of(span(period)[1])
    people = world.population.everybody(day).sum(axis=3)
    codes = ask.leaves("YDELSESTYPE")
    ages = np.arange(people.shape[2])
    conditions = world.framework
    hardship = np.exp(-0.9 * (conditions.employment_shift - conditions.employment_shift.mean(axis=0)))
    local = at(hardship, decimal_year(day))
    jobless = at(conditions.unemployment_pct, decimal_year(day)) / 4.2 * _SEASON[period[-1]]
    offset = stream(world.seed, "benefits").random((len(codes), *people.shape[:2], len(_BENEFIT_AGES)))
    cells = []
    for number, code in enumerate(codes):
        level, centre, width = INVENTED["benefits"][code]
        shape = np.exp(-((ages - centre) ** 2) / (2 * width**2)) * ((ages >= _BENEFIT_AGES[0]) & (ages <= _OLDEST))
        share = level / 1000 * shape / shape[_BENEFIT_AGES[0] : _OLDEST + 1].mean()
        weight = jobless if code in _FOLLOWS_UNEMPLOYMENT else np.ones_like(local)
        weight = weight * (1.0 if code in _NOT_HARDSHIP else local)
        expected = np.minimum(share * weight[:, None], 0.9)[:, None, :] * people
        cells.append(np.floor(_benefit_ages(expected, axis=2) + offset[number]).astype(np.int64))
    cells[codes.index("KH")] += _benefit_ages(_on_benefit(ask, day, 40.0), axis=2)
    counts = np.stack(cells, axis=1)
    counts = with_residuals(counts, ask.source.dimension("OMRÅDE").extra_codes)
    return ask.sums(counts, OMRÅDE="area", YDELSESTYPE="own", KØN="sex", ALDER="own")


def ky038(ask: Ask, period: str) -> Floats:
    """Full-year recipients of cash and introduction benefits by area, benefit, national origin and ancestry."""
    world, year = ask.world, int(period)
    day = day_of(date(year, 7, 1))
    people = world.population.everybody(day)[:, :, 18 : _OLDEST + 1].sum(axis=(1, 2))
    rest = world.population.background(day)[:, :, 18 : _OLDEST + 1, NON_WESTERN].sum(axis=(1, 2))
    base = np.stack([people[:, 0], people[:, 1], people[:, 3], rest, people[:, 4], people.sum(axis=1) // 300], axis=1)
    level = np.array([0, 1, 1, 2, 2, 2])
    codes, origins, ancestries = ask.leaves("YDELSESTYPE"), ask.leaves("HERKOMST1"), ask.leaves("HERKOMST")
    jobless = at(world.framework.unemployment_pct, year + 0.5)[:, None] / 4.2
    offset = stream(world.seed, "cash benefits").random((len(codes), *base.shape))
    out = np.zeros((len(base), len(codes), len(origins), len(ancestries)), dtype=np.int64)
    for number, code in enumerate(codes):
        benefit = INVENTED["cash_benefits"].get(code)
        if benefit is None:
            continue
        first, last = benefit.get("years", (year, year))
        if not first <= year <= last:
            continue
        counts = np.floor(np.array(benefit["per_thousand"])[level] / 1000 * base * np.sqrt(jobless) + offset[number])
        for column, (origin, ancestry) in enumerate(_ORIGIN_ANCESTRY):
            out[:, number, origins.index(origin), ancestries.index(ancestry)] = counts[:, column]
    newcomers = _on_benefit(ask, day, _INTRODUCTION_YEARS).sum(axis=(1, 2))
    introduction = split(newcomers, np.array([0.92, 0.08]))[:, 0]
    out[:, codes.index(_INTRODUCTION_BENEFIT), origins.index("9"), ancestries.index("20")] += introduction
    out = with_residuals(out, ask.source.dimension("OMRÅDE").extra_codes)
    return ask.sums(out, OMRÅDE="area", YDELSESTYPE="own", HERKOMST1="own", HERKOMST="own")


# Tables of means: income (INDKP101), dwellings (BOL101), municipal accounts (REGK31).


_WOMEN_INCOME = 0.86
_FEW_PERSONS = 100
"""An average over fewer persons than this is not shown."""

_PROGRAMME_YEARS = 3.0
_BENEFIT_PER_YEAR_THOUSAND = 92.0
_REFUND = {"1": 1.0, "2": -0.35}
_REVENUE_SHARE = 0.06
_KIND_SHARE = {"TOT": 1.0, "UE": 1 + _REVENUE_SHARE, "I": -_REVENUE_SHARE, "S1": 0.3}
"""Share of the net total booked on a kind: gross less revenue is the total."""


def indkp101(ask: Ask, period: str) -> Floats:
    """Income by area, unit (persons, DKK 1,000, averages in DKK), sex and type of income, one year."""
    world, year = ask.world, int(period)
    people = world.population.everybody(day_of(date(year, 12, 31)))[:, :, 15:].sum(axis=(2, 3))
    level = at(world.framework.income_dkk, year + 0.5)
    by_sex = np.array([1.0, _WOMEN_INCOME]) / (1 + _WOMEN_INCOME) * 2
    kinds = [INVENTED["income"][code] for code in ask.leaves("INDKOMSTTYPE")]
    sizes = np.array([size for _, size in kinds])
    amount = np.floor(people[..., None] * level[:, None, None] * by_sex[:, None] * sizes / 1000 + 0.5)
    having = np.floor(people[..., None] * np.array([share for share, _ in kinds]) + 0.5)
    axes = {"OMRÅDE": "area", "KOEN": "sex", "INDKOMSTTYPE": "own"}
    amounts, persons = ask.sums(amount, **axes), ask.sums(having, **axes)
    everyone = ask.sums(people, OMRÅDE="area", KOEN="sex")[..., None]
    figures = {"101": persons, "110": amounts, "116": _average(amounts, everyone), "121": _average(amounts, persons)}
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
    counts = split(total, _by_code(ask.leaves("BEBO"), INVENTED["occupancy"]))
    lean = town - 0.35
    tenures, owners = ask.leaves("UDLFORH"), ask.leaves("EJER")
    owner_of = INVENTED["owner"]
    mix = np.array([[INVENTED["tenure"][t] * owner_of.get(t, owner_of["LEJ"])[o] for o in owners] for t in tenures])
    mix = mix * np.exp(_by_code(tenures, INVENTED["city_tenure"])[:, None] * lean[:, None, None])
    counts = _divide(ask, counts, mix.reshape(len(town), -1), "tenure")
    counts = counts.reshape(*counts.shape[:-1], len(tenures), len(owners))
    kinds = ask.leaves("ANVENDELSE")
    houses = _by_code(kinds, INVENTED["use"]) * np.exp(_by_code(kinds, INVENTED["city_use"]) * lean[:, None])
    counts, uses = _divide_unless_total(ask, counts, "ANVENDELSE", houses, "use")
    counts, built = _divide_unless_total(ask, counts, "OPFØRELSESÅR", _construction(ask, year, len(town)), "built")
    return ask.sums(counts, OMRÅDE="area", BEBO="own", UDLFORH="own", EJER="own", ANVENDELSE=uses, OPFØRELSESÅR=built)


def divided(ask: Ask, period: str) -> Floats:
    """Inhabitants divided over every dimension's categories, the first the largest: a table with no function here."""
    counts = ask.world.population.everybody(day_of(date(int(period[:4]), 1, 1))).sum(axis=(1, 2, 3))
    places, order, matrices = len(counts), [], [np.ones((1, len(counts)))]
    for dimension in (each for each in ask.source.dimensions if each.role != "time"):
        if dimension.role == "area":
            matrices[0] = ask.axis(dimension.id, "area")
            order.append(0)
            continue
        order.append(len(matrices))
        own = ask.axis(dimension.id, "own")
        if _is_total(own):  # it needs no split, and a dimension may have hundreds of categories
            counts, own = counts[..., None], np.ones((1, 1))
        elif counts.size * own.shape[1] > _CELL_LIMIT:
            raise UsageError(f"{ask.source.table}: too many cells for the sample world; ask for fewer codes")
        else:
            share = 1 / np.arange(1, own.shape[1] + 1)
            counts = _divide(ask, counts, np.tile(share / share.sum(), (places, 1)), dimension.id)
        matrices.append(own)
    elsewhere = np.zeros((matrices[0].shape[1] - places, *counts.shape[1:]), counts.dtype)
    cells = contract(np.concatenate([counts, elsewhere]), matrices)
    return np.transpose(cells, order) if 0 in order else cells[0].transpose([axis - 1 for axis in order])


def _is_total(matrix: Floats) -> bool:
    return len(matrix) == 1 and bool(matrix.all())


def _divide(ask: Ask, counts: Ints, shares: Floats, name: str) -> Ints:
    """Return counts split by place-specific shares (places × categories) over a new last axis."""
    shape = (*counts.shape, shares.shape[-1])
    local = shares.reshape(len(shares), *[1] * (counts.ndim - 1), -1)
    return split(counts, np.broadcast_to(local, shape), stream(ask.world.seed, name).random(counts.shape))


def _divide_unless_total(ask: Ask, counts: Ints, dimension: str, shares: Floats, name: str) -> tuple[Ints, Floats]:
    """Return counts split over a dimension, and its matrix; for a total alone both have one column instead."""
    own = ask.axis(dimension, "own")
    return (counts[..., None], own[:, :1]) if _is_total(own) else (_divide(ask, counts, shares, name), own)


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
    people = world.population.everybody(day_of(date(year, 1, 1))).sum(axis=(1, 2, 3)).astype(float)
    functions = ask.leaves("FUNKTION")
    net = np.stack([_net_thousand(ask, code, year, people) for code in functions], axis=1)
    refunds, shares = _by_code(ask.leaves("DRANST"), _REFUND), _by_code(ask.leaves("ART"), _KIND_SHARE, otherwise=0.01)
    amounts = np.floor(net[..., None, None] * refunds[:, None] * shares + 0.5)
    cells = ask.sums(amounts, OMRÅDE="area", FUNKTION="own", DRANST="own", ART="own")
    with np.errstate(divide="ignore", invalid="ignore"):
        per_head = np.floor(1000 * cells / ask.sums(people, OMRÅDE="area")[:, None, None, None] + 0.5)
    figures = {"LOBM": cells, "INDL": per_head}
    return np.stack([figures[code] for code in ask.selection["PRISENHED"]], axis=-1)


def _net_thousand(ask: Ask, function: str, year: int, people: Floats) -> Floats:
    """Return net running costs of a function in DKK 1,000 per place."""
    world, traits = ask.world, ask.world.traits
    day = day_of(date(year, 7, 1))
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
    level = INVENTED["other_accounts"].get(function, 0.01 * (1 + zlib.crc32(function.encode()) % 5))
    return np.asarray(people * level * noise)
