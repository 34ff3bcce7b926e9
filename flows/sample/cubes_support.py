"""Tables of unemployment and public support: AULKP01, AUK01, KY038."""

from __future__ import annotations

import numpy as np

from flows.sample.cubes_ask import Ask, with_extra
from flows.sample.cubes_axes import contract
from flows.sample.cubes_periods import last_day
from flows.sample.cubes_work import rate
from flows.sample.population import EMPLOYED, NON_WESTERN, UNEMPLOYED, day_of, decimal_year, split
from flows.sample.world_areas import Floats, Ints, stream
from flows.sample.world_conditions import at

_BENEFIT_AGES = (16, 25, 30, 35, 40, 45, 50, 55, 60)
_OLDEST = 66
# More are without work in the first quarter, fewer in the third.
_SEASON = {"1": 1.08, "2": 0.97, "3": 0.95, "4": 1.0}
# Full-time recipients per 1,000 inhabitants aged 16-66 in an average place, and their ages (centre, width).
_BENEFITS: dict[str, tuple[float, float, float]] = {
    "SU": (70, 22, 3),
    "DP": (22, 42, 14),
    "KT": (5, 36, 11),
    "FD": (1, 30, 8),
    "TOTVO": (8, 33, 10),
    "FL": (19, 52, 9),
    "TOTAN": (13, 32, 5),
    "FP": (55, 55, 10),
    "EL": (12, 64, 2),
    "FY": (1, 62, 3),
    "TP": (2, 64, 2),
    "KH": (20, 33, 11),
    "RE": (1, 38, 9),
    "LY": (4, 50, 9),
    "SY": (17, 46, 11),
    "RES": (3, 42, 10),
    "JA": (4, 48, 9),
}
_FOLLOWS_UNEMPLOYMENT = ("DP", "KT", "TOTVO")
_NOT_HARDSHIP = ("SU", "TOTAN", "FD", "EL", "TP")
_UNKNOWN_AREA_SHARE = 0.0004
# KY038: full-year recipients per 1,000 inhabitants aged 18-66: Danish, western, non-western, unknown origin.
_CASH: dict[str, tuple[float, float, float]] = {
    "10050": (16, 12, 75),
    "10025": (9, 4, 22),
    "10060": (0.5, 0.3, 1.5),
    "10070": (0.6, 0.1, 1.0),
    "10040": (1.2, 0.3, 1.6),
    "10032": (0.3, 0.1, 0.4),
    "10035": (0.4, 0.2, 0.6),
    "10030": (0.5, 0.2, 0.5),
}
_ONLY_YEARS = {"10032": (2015, 2100), "10035": (2014, 2018), "10030": (2008, 2014)}
_INTRODUCTION_BENEFIT = "10020"
_ORIGIN_ANCESTRY = (("1", "10"), ("2", "20"), ("2", "30"), ("9", "20"), ("9", "30"), ("000", "40"))
_INTRODUCTION_YEARS = 7


def _benefit_ages(counts: Ints, axis: int) -> Ints:
    """Return counts with the axis of single ages summed to the nine age groups of the benefit tables."""
    kept = np.take(counts, np.arange(_OLDEST + 1), axis=axis)
    return np.asarray(np.add.reduceat(kept, np.array(_BENEFIT_AGES), axis=axis))


def aulkp01(ask: Ask, period: str) -> Floats:
    """Full-time unemployed in pct. of the labour force by area, age and sex, one quarter."""
    status, _ = ask.world.population.status(int(period[:4]))
    counts = _benefit_ages(status.sum(axis=3), axis=2)
    offset = stream(ask.world.seed, "unemployed").random(counts.shape[:-1])
    unemployed = np.floor(counts[..., UNEMPLOYED] * _SEASON[period[-1]] + offset)
    force = counts[..., UNEMPLOYED] + counts[..., EMPLOYED]
    matrices = [ask.area("OMRÅDE"), ask.sex("KØN"), ask.own("ALDER")]
    shown = rate(contract(np.minimum(unemployed, force), matrices), contract(force, matrices))
    return np.swapaxes(shown, 1, 2)


def _on_benefit(ask: Ask, day: int, years: float) -> Ints:
    """Return who of the target group, `years` at most after take-over, has no job: places × sexes × ages."""
    world, t = ask.world, ask.world.traits
    idle = t.present_at(day) & (t.takeover_day > day - years * 365.25) & (t.age_at(day) < _OLDEST)
    idle[world.careers.job_person[world.population.jobs_on(day)]] = False
    return world.population.count(day, idle)


def auk01(ask: Ask, period: str) -> Floats:
    """Persons on public support, full-time recipients, by area, benefit, sex and age, one quarter."""
    world, last = ask.world, last_day(period)
    day = day_of(last.year, last.month, last.day)
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
        level, centre, width = _BENEFITS[code]
        shape = np.exp(-((ages - centre) ** 2) / (2 * width**2)) * ((ages >= _BENEFIT_AGES[0]) & (ages <= _OLDEST))
        share = level / 1000 * shape / shape[_BENEFIT_AGES[0] : _OLDEST + 1].mean()
        weight = jobless if code in _FOLLOWS_UNEMPLOYMENT else np.ones_like(local)
        weight = weight * (1.0 if code in _NOT_HARDSHIP else local)
        expected = np.minimum(share * weight[:, None], 0.9)[:, None, :] * people
        grouped = np.add.reduceat(expected[:, :, : _OLDEST + 1], np.array(_BENEFIT_AGES), axis=2)
        cells.append(np.floor(grouped + offset[number]).astype(np.int64))
    cells[codes.index("KH")] += _benefit_ages(_on_benefit(ask, day, 40.0), axis=2)
    counts = np.stack(cells, axis=1)
    if ask.dimension("OMRÅDE").extra_codes:
        counts = with_extra(counts, np.floor(_UNKNOWN_AREA_SHARE * counts.sum(axis=0)).astype(np.int64))
    return contract(counts, [ask.area("OMRÅDE"), ask.own("YDELSESTYPE"), ask.sex("KØN"), ask.own("ALDER")])


def ky038(ask: Ask, period: str) -> Floats:
    """Full-year recipients of cash and introduction benefits by area, benefit, national origin and ancestry."""
    world, year = ask.world, int(period)
    day = day_of(year, 7, 1)
    people = world.population.everybody(day)[:, :, 18 : _OLDEST + 1].sum(axis=(1, 2))
    rest = world.population.background(day)[:, :, 18 : _OLDEST + 1, NON_WESTERN].sum(axis=(1, 2))
    base = np.stack([people[:, 0], people[:, 1], people[:, 3], rest, people[:, 4], people.sum(axis=1) // 300], axis=1)
    level = np.array([0, 1, 1, 2, 2, 2])
    codes, origins, ancestries = ask.leaves("YDELSESTYPE"), ask.leaves("HERKOMST1"), ask.leaves("HERKOMST")
    jobless = at(world.framework.unemployment_pct, year + 0.5)[:, None] / 4.2
    offset = stream(world.seed, "cash benefits").random((len(codes), *base.shape))
    out = np.zeros((len(base), len(codes), len(origins), len(ancestries)), dtype=np.int64)
    for number, code in enumerate(codes):
        first, last = _ONLY_YEARS.get(code, (2000, 2100))
        if code not in _CASH or not first <= year <= last:
            continue
        counts = np.floor(np.array(_CASH[code])[level] / 1000 * base * np.sqrt(jobless) + offset[number])
        for column, (origin, ancestry) in enumerate(_ORIGIN_ANCESTRY):
            out[:, number, origins.index(origin), ancestries.index(ancestry)] = counts[:, column]
    newcomers = _on_benefit(ask, day, _INTRODUCTION_YEARS).sum(axis=(1, 2))
    at_cell = (codes.index(_INTRODUCTION_BENEFIT), origins.index("9"), ancestries.index("20"))
    out[:, at_cell[0], at_cell[1], at_cell[2]] += split(newcomers, np.array([0.92, 0.08]))[:, 0]
    if ask.dimension("OMRÅDE").extra_codes:
        out = with_extra(out, np.floor(_UNKNOWN_AREA_SHARE * out.sum(axis=0)).astype(np.int64))
    matrices = [ask.area("OMRÅDE"), ask.own("YDELSESTYPE"), ask.own("HERKOMST1"), ask.own("HERKOMST")]
    return contract(out, matrices)
