"""The sample world: a seeded, synthetic Denmark with real municipalities and invented people.

SYNTHETIC / SYNTETISKE DATA. A world is a recipe (seed, size, vintage); its parts are simulated when they are
first asked for, each from its own random stream, so the same recipe always gives the same bytes.

One module, since population, labour market and target group are drawn from and for each other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from flows.sample.people import (
    BASES,
    EDUCATIONS,
    END_REASONS,
    MATCHES,
    NEVER,
    ORIGINS,
    YEAR_DAYS,
    Careers,
    Traits,
    dates,
    day_of,
    draw_careers,
    draw_plans,
    draw_traits,
    labour_market,
)
from flows.sample.places import (
    FIRST_YEAR,
    INDUSTRIES,
    NEWCOMER_LEAN,
    WOMEN_LEAN,
    Conditions,
    Floats,
    Ints,
    Places,
    at,
    draw_conditions,
    read_places,
    standardise,
    stream,
)
from flows.sample.truth import CONTEXTS, INVENTED, KINDS, MEASURES, Coefficients
from transforms.models.persons import RATINGS

_FIRST_FRAME_YEAR = 2008


def _coded(positions: Ints, names: tuple[str, ...]) -> pd.Categorical[str]:
    coded: pd.Categorical[str] = pd.Categorical.from_codes(positions, pd.Index(list(names)))
    return coded


# How each municipality organises the effort: the answers of an invented questionnaire.
#
# The fields are called what the contract of the deliveries calls them. Nothing here helps anyone into work by itself;
# some fields are contexts in which a method works better (see `truth.py`).


USE_COLUMNS = {kind: f"use_{row['delivered_as']}_pct" for kind, row in MEASURES.items()}
"""Kind of measure -> the field for how many are to have it, in pct. of programme persons."""


def draw_organisation(seed: int, places: Places, conditions: Conditions) -> pd.DataFrame:
    """Return one row per municipality (98): the questionnaire fields, USE_COLUMNS as intended use."""
    rng = stream(seed, "organisation")
    n = len(places.codes)

    def answers(field: str) -> npt.NDArray[np.str_]:
        likely = INVENTED["answers"][field]
        return rng.choice(list(likely), n, p=list(likely.values()))

    model = answers("org_model_code")
    one_unit = model == "single_interdisciplinary_unit"
    start_days = np.clip(rng.gamma(4, 9, n) - 6 * one_unit, 3, 150).round().astype(int)
    frame = pd.DataFrame(
        {
            "municipality_code": places.codes,
            "org_model_code": model,
            "physical_colocation_code": np.where(
                rng.random(n) < np.where(one_unit, 0.85, 0.35), "same_site", "several_sites"
            ),
            "family_coordinator_code": answers("family_coordinator_code"),
            "contract_responsible_code": answers("contract_responsible_code"),
            "contract_within_1_month_pct": np.clip(rng.normal(82, 12, n), 20, 100).round(),
            "start_firm_directed_days_median": start_days,
            "started_within_14d_pct": np.clip(90 * np.exp(-start_days / 22), 0, 100).round(),
            "started_within_30d_pct": np.clip(98 * np.exp(-start_days / 70), 0, 100).round(),
            "caseload_per_caseworker_count": np.clip(rng.normal(48, 14, n), 15, 120).round(1),
            "job_consultants_fte": np.clip(
                at(conditions.population, 2016.0) / 25_000 * rng.gamma(3, 0.5, n), 0.2, None
            ).round(1),
            "has_dedicated_job_consultants": rng.random(n) < 0.45,
            "danish_provider_code": answers("danish_provider_code"),
            "danish_parallel_with_placement_code": answers("danish_parallel_with_placement_code"),
            "has_workplace_danish": rng.random(n) < 0.3,
            "health_assessment_code": answers("health_assessment_code"),
            "health_assessment_days": np.clip(rng.gamma(3, 20, n), 5, 300).round().astype(int),
            "has_day1_job_ready_rule": rng.random(n) < 0.6,
            "intake_screening_code": answers("intake_screening_code"),
            "political_committee_code": answers("political_committee_code"),
            "has_political_goal": rng.random(n) < 0.5,
            "programme_expenditure_dkk": at(conditions.spending_dkk, 2016.0).round(-2).astype(int),
        }
    )
    packages = answers("industry_packages_code")
    partnerships = rng.poisson(18, n)
    uses = {name: _use(rng, kind, packages) for kind, name in USE_COLUMNS.items()}
    ratings = {f"rating_{theme}": rng.integers(1, 6, n) for theme in RATINGS}
    frame = frame.assign(**uses, firm_partnerships_count=partnerships, industry_packages_code=packages, **ratings)
    return frame[[size != "islet" for size in places.sizes]].reset_index(drop=True)


def _use(rng: np.random.Generator, kind: str, packages: npt.NDArray[np.str_]) -> Floats:
    """Return the intended use of one kind of measure in pct. of programme persons."""
    base = MEASURES[kind]["use"] / (1 - MEASURES[kind]["use"])
    local = rng.normal(0, 0.45, len(packages))
    if kind == "branchepakke":
        local = local + np.where(packages == "none", -1.5, 1.0)
    odds = base * np.exp(local)
    return np.asarray((100 * odds / (1 + odds)).round(1))


def contexts(frame: pd.DataFrame, conditions: Conditions, places: Places) -> Floats:
    """Return the context of every place (places × CONTEXTS) in which methods work better or worse."""
    at_row = frame.set_index("municipality_code").reindex(list(places.codes))
    consultants = at_row["job_consultants_fte"].to_numpy(dtype=float) / at(conditions.population, 2016.0) * 25_000
    columns = {
        "is_colocated": (at_row["physical_colocation_code"] == "same_site").to_numpy(dtype=float),
        "job_consultants_z": standardise(consultants),
        "manufacturing_share_z": standardise(conditions.manufacturing_share),
        "has_danish_parallel": at_row["danish_parallel_with_placement_code"]
        .isin(["always", "mostly"])
        .to_numpy(dtype=float),
    }
    return np.column_stack([columns[name] for name in CONTEXTS])


# Everybody in the sample world counted: by place, sex, age and ancestry, and by labour market status.
#
# The target group is counted person by person; the rest is drawn per cell: an expected number rounded with
# a fixed offset per cell, so counts are whole, steady over time and the same at every asking.


AGES = np.arange(106)
ANCESTRIES: tuple[str, ...] = (
    "danish",
    "western_immigrant",
    "non_western_immigrant",
    "western_descendant",
    "non_western_descendant",
)
NON_WESTERN = ANCESTRIES.index("non_western_immigrant")
EMPLOYED, UNEMPLOYED, OUTSIDE = 0, 1, 2
_EMPLOYMENT_AGES = [14, 15, 17, 19, 22, 27, 32, 54, 57, 62, 65.5, 70, 76, 105]
_EMPLOYMENT_LOGIT = [-20, -1.2, -0.3, 0.1, 0.75, 1.2, 1.6, 1.6, 1.35, 0.5, -0.8, -2.0, -4.0, -9]
_EMPLOYMENT_BY_ANCESTRY = np.array([0.0, -0.75, -1.05, -0.3, -0.6])
_WOMEN_EMPLOYMENT = np.array([-0.10, -0.2, -0.55, -0.1, -0.15])


def decimal_year(day: int) -> float:
    """Return a day as a decimal year."""
    return 2008.0 + day / YEAR_DAYS


def split(counts: Ints, shares: Floats, offset: Floats | float = 0.5) -> Ints:
    """Return whole counts split over a new last axis by shares (sum 1); nothing is lost.

    The cumulative shares are rounded with the cell's offset, so small counts fall where the offset says.
    """
    total = np.cumsum(shares, axis=-1)
    total = total / total[..., -1:]
    total[..., -1] = 1.0
    edges = np.floor(counts[..., None] * total + np.asarray(offset)[..., None] + 1e-9).astype(np.int64)
    edges[..., 1:] -= edges[..., :-1].copy()
    return np.asarray(edges)


def deal(columns: Ints, rows: Ints) -> Ints:
    """Return a table of whole numbers with both margins kept: (..., rows) and (..., columns) of equal sum.

    Row by row, each row takes its number evenly from what is left of the columns (controlled rounding).
    """
    left = columns.astype(np.int64).copy()
    out = np.empty((*rows.shape, columns.shape[-1]), dtype=np.int64)
    for i in range(rows.shape[-1]):
        edge = np.cumsum(left, axis=-1)
        total = np.maximum(edge[..., -1:], 1)
        taken = (2 * rows[..., i, None] * edge + total) // (2 * total)
        taken[..., 1:] -= taken[..., :-1].copy()
        out[..., i, :] = taken
        left -= taken
    return out


class Population:
    """Counts of one world; arrays are places × sexes (men, women) × ages 0-105 × ancestries."""

    def __init__(self, world: World) -> None:
        self.world = world
        shape = (len(world.places.codes), 2, len(AGES), len(ANCESTRIES))
        rng = stream(world.seed, "population")
        self._offset = rng.random(shape)
        self._work_offset = rng.random(shape)
        self._seek_offset = rng.random(shape)
        self.background = lru_cache(maxsize=24)(self._background)
        self.everybody = lru_cache(maxsize=72)(self._everybody)
        self.status = lru_cache(maxsize=20)(self._status)

    def _background(self, day: int) -> npt.NDArray[np.int64]:
        """Return those outside the target group on a day."""
        c, when = self.world.framework, decimal_year(day)
        western, newcomers = at(c.western_share, when), at(c.non_western_share, when)
        descendants = at(c.descendant_share, when)
        share = np.column_stack(
            [1 - western - newcomers - 1.08 * descendants, western, newcomers, 0.08 * descendants, descendants]
        )
        ages = self._age_shares(when)
        expected = at(c.population, when)[:, None, None, None] * share[:, None, None, :] * ages
        return np.floor(expected + self._offset).astype(np.int64)

    def _age_shares(self, when: float) -> Floats:
        """Return shares by sex and age that sum to one per place and ancestry."""
        a = AGES.astype(float)
        mortal = 1 / (1 + np.exp((a - 84 - 0.12 * (when - 2016)) / 6.5))
        grown = np.exp(-((a - 36) ** 2) / (2 * 15.0**2))
        shape = np.stack(
            [
                mortal * (1 + 0.10 * np.sin((a - 8) / 11)),
                grown + 0.02 * mortal,
                np.exp(-((a - 43) ** 2) / (2 * 15.5**2)) * mortal + 0.02 * (a < 70),
                np.exp(-a / 19) * mortal,
                np.exp(-a / 17) * mortal,
            ],
            axis=1,
        )
        c = self.world.framework
        tilt = np.exp(at(c.age_tilt, when)[:, None] * (np.minimum(a, 85) - 42) / 45)
        bump = 1 + c.student_bump[:, None] * np.exp(-((a - 25) ** 2) / 22)
        share = shape[None, :, :] * (tilt * bump)[:, :, None]
        share = share / share.sum(axis=1, keepdims=True)
        men = 0.512 - 0.19 / (1 + np.exp(-(a - 84) / 6))
        return np.stack([share * men[:, None], share * (1 - men)[:, None]], axis=1)

    def count(self, day: int, keep: npt.NDArray[np.bool_]) -> Ints:
        """Return how many of the target group marked by `keep` stand in each place × sex × age on a day."""
        t = self.world.traits
        age = np.clip(t.age_at(day)[keep], 0, AGES[-1])
        sexes, ages = 2, len(AGES)
        flat = (t.place_at(day)[keep] * sexes + t.is_woman[keep]) * ages + age
        n = len(self.world.places.codes)
        return np.bincount(flat, minlength=n * sexes * ages).reshape(n, sexes, ages)

    def _everybody(self, day: int) -> npt.NDArray[np.int64]:
        """Return the whole population on a day, the target group among the non-western immigrants."""
        counts = self.background(day).copy()
        counts[..., NON_WESTERN] += self.count(day, self.world.traits.present_at(day))
        return counts

    def jobs_on(self, day: int) -> Ints:
        """Return positions of one job per employed person of the target group on a day."""
        c, t = self.world.careers, self.world.traits
        running = np.flatnonzero((c.job_start <= day) & (c.job_end > day) & t.present_at(day)[c.job_person])
        _, first = np.unique(c.job_person[running], return_index=True)
        return np.asarray(running[first])

    def _status(self, year: int) -> tuple[Ints, Ints]:
        """Return (everybody, background only) at the end of November, with a last axis of three statuses."""
        day = day_of(date(year, 11, 30))
        background, t = self.background(day), self.world.traits
        rest = self._split_background(background, decimal_year(day))
        working = np.zeros(len(t), dtype=bool)
        working[self.world.careers.job_person[self.jobs_on(day)]] = True
        present = t.present_at(day)
        seeking = present & ~working & (t.match == 0) & (t.age_at(day) < 66)
        everybody = rest.copy()
        for status, who in enumerate((working, seeking, present & ~working & ~seeking)):
            everybody[..., NON_WESTERN, status] += self.count(day, who)
        return everybody, rest

    def _split_background(self, counts: Ints, when: float) -> Ints:
        c = self.world.framework
        a = AGES.astype(float)
        logit = np.interp(a, _EMPLOYMENT_AGES, _EMPLOYMENT_LOGIT)[None, None, :, None]
        logit = logit + at(c.employment_shift, when)[:, None, None, None] + _EMPLOYMENT_BY_ANCESTRY
        logit = logit + np.stack([np.zeros_like(_WOMEN_EMPLOYMENT), _WOMEN_EMPLOYMENT])[None, :, None, :]
        employed = np.floor(counts / (1 + np.exp(-logit)) + self._work_offset).astype(np.int64)
        odd = 0.11 * at(c.unemployment_pct, when)[:, None, None, None] / 4.2 * ((a > 17) & (a < 66))[:, None]
        seeking = np.floor((counts - employed) * np.minimum(odd, 0.9) + self._seek_offset).astype(np.int64)
        seeking = np.minimum(seeking, counts - employed) * ((a > 17) & (a < 66))[:, None]
        return np.stack([employed, seeking, counts - employed - seeking], axis=-1)


def industry_shares(mix: Floats) -> Floats:
    """Return the shares of industries by workplace and sex, places × sexes × industries."""
    both = np.stack([mix * np.exp(-WOMEN_LEAN / 2), mix * np.exp(WOMEN_LEAN / 2)], axis=1)
    assert both.shape[-1] == len(INDUSTRIES)
    return np.asarray(both / both.sum(axis=-1, keepdims=True))


# Where people work in the sample world: whole persons by home, workplace, sex and industry.
#
# All labour market tables are sums of the same few arrays, so their margins agree to the person.


AGE_GROUPS = np.array([16, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 67])
"""First ages of the labour market accounts' groups after `-15`: 13 groups in all."""
_AGE_GROUP = np.searchsorted(AGE_GROUPS, AGES, side="right")
SOCIO_COUNT = 8
_FROM_ABROAD = 0.004
# Shares of self-employed, assisting, management, upper, medium, basic, other, not specified (invented).
_SOCIO = np.array([6, 0.3, 4, 24, 10, 42, 8.7, 5]) / 100
_SELF_EMPLOYED_HEAVY = np.array([code in ("A", "F", "I", "R", "S", "L") for code in INDUSTRIES])
_ORIGIN_LEAN = np.array([0.0, 0.5, 1.3, 0.1, 0.5])
COUNTRY_ANCESTRY: dict[str, tuple[int, float]] = {
    code: (ANCESTRIES.index(ancestry), weight)
    for ancestry, countries in INVENTED["countries"].items()
    for code, weight in countries.items()
}


def by_age_group(counts: Ints, axis: int) -> Ints:
    """Return counts with the axis of single ages summed to the 13 groups of the labour market accounts."""
    starts = np.searchsorted(_AGE_GROUP, np.arange(len(AGE_GROUPS) + 1))
    return np.asarray(np.add.reduceat(counts, starts, axis=axis))


@dataclass(frozen=True)
class Sums:
    """Employed persons of one year, whole numbers."""

    matrix: Ints
    """home × workplace (abroad last) × sex"""
    residents: Ints
    """home × industry × sex"""
    at_home: Ints
    """of the residents those who work in their own place, place × industry × sex"""
    workers: Ints
    """workplace × industry × sex, from abroad included"""


class Labour:
    """Employed persons of one world at the end of November."""

    def __init__(self, world: World) -> None:
        self.world = world
        rng = stream(world.seed, "labour")
        self.place_count = len(world.places.codes)
        n = self.place_count
        self._flow_offset = rng.random((n, 2))
        self._industry_offset = rng.random((n, 2, n + 1))
        self._socio_offset = rng.random((n, 2, len(INDUSTRIES), len(AGE_GROUPS) + 1))
        self._inward_offset = rng.random((n, 2, len(INDUSTRIES)))
        self.sums = lru_cache(maxsize=40)(self._sums)
        self.detailed = lru_cache(maxsize=8)(self._detailed)
        self.origins = lru_cache(maxsize=8)(self._origins)

    def _flows(self, year: int) -> Ints:
        """Return employed by home × sex × workplace (abroad last) × industry."""
        world = self.world
        _, rest = world.population.status(year)
        employed = rest[..., EMPLOYED].sum(axis=(2, 3))
        commuting = world.framework.commuting[:, None, :]
        flows = split(employed, np.broadcast_to(commuting, (*employed.shape, commuting.shape[-1])), self._flow_offset)
        mix = world.framework.industry_mix
        shares = np.swapaxes(industry_shares(np.vstack([mix, mix.mean(axis=0)])), 0, 1)[None]
        out = split(flows, np.broadcast_to(shares, (*flows.shape, shares.shape[-1])), self._industry_offset)
        day = day_of(date(year, 11, 30))
        jobs = world.population.jobs_on(day)
        c, t = world.careers, world.traits
        person = c.job_person[jobs]
        at = (t.place_at(day)[person], t.is_woman[person].astype(int), c.job_workplace[jobs], c.job_industry[jobs])
        np.add.at(out, at, 1)
        return out

    def _sums(self, year: int) -> Sums:
        """Return the sums over the flows that the tables need; the flows themselves are not kept."""
        flows = self._flows(year)
        places = np.arange(self.place_count)
        inside = np.swapaxes(flows[:, :, :-1].sum(axis=0), 0, 1)
        from_abroad = np.floor(_FROM_ABROAD * inside + self._inward_offset).astype(np.int64) * (inside > 0)
        return Sums(
            matrix=np.swapaxes(flows.sum(axis=-1), 1, 2),
            residents=np.swapaxes(flows.sum(axis=2), 1, 2),
            at_home=np.swapaxes(flows[places, :, places], 1, 2),
            workers=np.swapaxes(inside + from_abroad, 1, 2),
        )

    def _detailed(self, year: int) -> Ints:
        """Return employed residents by place × industry × socio-economic group × age group × sex."""
        everybody, _ = self.world.population.status(year)
        ages = by_age_group(everybody[..., EMPLOYED].sum(axis=3), axis=2)
        industries = np.swapaxes(self.sums(year).residents, 1, 2)
        cells = deal(ages, industries)
        shares = np.tile(_SOCIO, (len(INDUSTRIES), 1))
        shares[_SELF_EMPLOYED_HEAVY, 0] *= 2.6
        shares = np.broadcast_to(shares[None, None, :, None, :], (*cells.shape, SOCIO_COUNT))
        return np.transpose(split(cells, shares, self._socio_offset), (0, 2, 4, 3, 1))

    def _origins(self, year: int) -> Ints:
        """Return employed by ancestry × industry × socio-economic group × age group × sex, whole country."""
        national = self.detailed(year).sum(axis=0)
        everybody, _ = self.world.population.status(year)
        by_ancestry = by_age_group(everybody[..., EMPLOYED].sum(axis=0), axis=1)
        out = np.zeros((len(ANCESTRIES), *national.shape), dtype=np.int64)
        left = np.transpose(national, (3, 2, 0, 1)).reshape(2, len(AGE_GROUPS) + 1, -1)
        lean = np.repeat(NEWCOMER_LEAN, SOCIO_COUNT)
        shape = (2, len(AGE_GROUPS) + 1, *national.shape[:2])
        for number in range(len(ANCESTRIES) - 1, 0, -1):
            weight = left * np.exp(_ORIGIN_LEAN[number] * lean)
            taken = np.minimum(split(by_ancestry[..., number], weight + 1e-12), left)
            left = left - taken
            out[number] = np.transpose(taken.reshape(shape), (2, 3, 1, 0))
        out[0] = np.transpose(left.reshape(shape), (2, 3, 1, 0))
        return out

    def country_share(self, country: str, year: int) -> tuple[int, float]:
        """Return (ancestry of its immigrants, share of it that comes from the country) at the year's end."""
        group, weight = COUNTRY_ANCESTRY.get(country, (2, 1.0))
        share = weight / 108.0
        employed_as = [row.get("employed_as") for row in INVENTED["origins"].values()]
        if country not in employed_as:
            return group, share
        world = self.world
        everybody, rest = world.population.status(year)
        immigrants = everybody[..., NON_WESTERN, EMPLOYED].sum()
        background = rest[..., NON_WESTERN, EMPLOYED].sum()
        employed = world.careers.job_person[world.population.jobs_on(day_of(date(year, 11, 30)))]
        from_there = int((world.traits.origin[employed] == employed_as.index(country)).sum())
        return group, float((share * background + from_there) / immigrants)


DEFAULT_SEED = 2016
DEFAULT_PERSONS = 60_000
DEFAULT_MUNICIPAL_SD = 0.25
WORLD_END = date(2025, 12, 31)


@dataclass(frozen=True)
class World:
    """A synthetic Denmark; frames hold what is known at `vintage`, `coefficients` what was planted."""

    seed: int
    vintage: date
    person_count: int
    municipal_sd: float
    coefficients: Coefficients

    @cached_property
    def places(self) -> Places:
        """The 98 municipalities and Christiansø."""
        return read_places(self.seed)

    @cached_property
    def framework(self) -> Conditions:
        """The framework conditions as arrays, places × years."""
        return draw_conditions(self.seed, self.places)

    @cached_property
    def organisation(self) -> pd.DataFrame:
        """One row per municipality: the fields of the organisation questionnaire."""
        return draw_organisation(self.seed, self.places, self.framework)

    @cached_property
    def municipal_effect(self) -> Floats:
        """The planted effect of each place on the log hazard (0 for Christiansø), mean 0."""
        drawn = stream(self.seed, "municipal effect").normal(0, 1, len(self.places.codes))
        drawn[[size == "islet" for size in self.places.sizes]] = 0
        return np.asarray(self.municipal_sd * (drawn - drawn.mean()))

    @cached_property
    def traits(self) -> Traits:
        """The target group as arrays, whatever the vintage."""
        return draw_traits(self.seed, self.places, self.framework, self.person_count)

    @cached_property
    def method_effects(self) -> Floats:
        """The planted effect of each kind of measure in each place, places × kinds."""
        context = contexts(self.organisation, self.framework, self.places)
        effects = []
        for measure in MEASURES.values():
            weights = np.array([measure.get("in_context", {}).get(name, 0.0) for name in CONTEXTS])
            effects.append(measure["effect"] + context @ weights)
        return np.asarray(self.coefficients.method_scale * np.column_stack(effects))

    @cached_property
    def careers(self) -> Careers:
        """Measures and jobs of everybody as arrays, whatever the vintage."""
        rng = stream(self.seed, "careers")
        rows = self.organisation.set_index("municipality_code").reindex(list(self.places.codes))
        use = rows[list(USE_COLUMNS.values())].fillna(10.0).to_numpy(dtype=float)
        start = rows["start_firm_directed_days_median"].fillna(36.0).to_numpy(dtype=float)
        plans = draw_plans(rng, self.traits, self.framework, use, start, self.coefficients)
        conditions, b = self.framework, self.coefficients
        demand = (
            b.manufacturing_share_z * standardise(conditions.manufacturing_share)
            + b.non_western_demand_z * standardise(conditions.newcomer_demand)
            + self.municipal_effect
        )
        market = labour_market(conditions, demand, b)
        return draw_careers(rng, self.traits, plans, conditions, market, self.method_effects, b)

    @cached_property
    def population(self) -> Population:
        """Counts of everybody, at any day."""
        return Population(self)

    @cached_property
    def labour(self) -> Labour:
        """Counts of employed persons by home, workplace and industry."""
        return Labour(self)

    @property
    def vintage_day(self) -> int:
        """Days from the epoch to the vintage."""
        return day_of(self.vintage)

    @cached_property
    def known_traits(self) -> Traits:
        """The persons with a permit by the vintage; days after it are NEVER, since the future is not known."""
        known = self.traits.permit_day <= self.vintage_day
        columns = {each.name: getattr(self.traits, each.name)[known] for each in fields(Traits)}
        return Traits(
            **columns | {name: self._by_vintage(columns[name]) for name in ("takeover_day", "end_day", "move_day")}
        )

    @cached_property
    def known_careers(self) -> Careers:
        """The measures and jobs begun by the vintage, by person and start; days after it are NEVER."""
        c = self.careers
        measures = np.lexsort((c.measure_kind, c.measure_start, c.measure_person))
        measures = measures[c.measure_start[measures] <= self.vintage_day]
        jobs = np.lexsort((c.job_end, c.job_start, c.job_person))
        jobs = jobs[c.job_start[jobs] <= self.vintage_day]
        columns = {
            each.name: getattr(c, each.name)[measures if each.name.startswith("measure") else jobs]
            for each in fields(Careers)
        }
        return Careers(**columns | {name: self._by_vintage(columns[name]) for name in ("measure_end", "job_end")})

    def _by_vintage(self, day: Ints) -> Ints:
        return np.where(day > self.vintage_day, NEVER, day)

    @cached_property
    def persons(self) -> pd.DataFrame:
        """One row per person with a permit by the vintage, by person_id."""
        t, codes = self.known_traits, self.places.codes
        return pd.DataFrame(
            {
                "person_id": np.arange(1, len(t) + 1),
                "municipality_code": _coded(t.place, codes),
                "permit_date": dates(t.permit_day),
                "takeover_date": dates(t.takeover_day),
                "residence_basis": _coded(t.basis, BASES),
                "origin_code": _coded(t.origin, ORIGINS),
                "sex_code": _coded(t.is_woman.astype(np.int64), ("M", "K")),
                "birth_date": dates(t.birth_day),
                "education": _coded(t.education, EDUCATIONS),
                "has_partner": t.has_partner,
                "children_count": t.children,
                "danish_track": t.danish_track,
                "match_category": _coded(t.match, MATCHES),
                "end_date": dates(t.end_day),
                "end_reason": _coded(np.where(t.end_day < NEVER, t.end_reason, 0), END_REASONS),
                "move_date": dates(t.move_day),
                "move_municipality_code": _coded(np.where(t.move_day < NEVER, t.move_place, -1), codes),
            }
        )

    @cached_property
    def measures(self) -> pd.DataFrame:
        """One row per measure begun by the vintage, by person and start; no end yet where it still runs."""
        c = self.known_careers
        return pd.DataFrame(
            {
                "person_id": c.measure_person + 1,
                "kind": _coded(c.measure_kind, KINDS),
                "start_date": dates(c.measure_start),
                "end_date": dates(c.measure_end),
                "weekly_hours": c.measure_hours,
                "industry_code": _coded(c.measure_industry, INDUSTRIES),
            }
        )

    @cached_property
    def employment(self) -> pd.DataFrame:
        """One row per employment spell begun by the vintage, by person and start, subsidised ones included."""
        c = self.known_careers
        return pd.DataFrame(
            {
                "person_id": c.job_person + 1,
                "start_date": dates(c.job_start),
                "end_date": dates(c.job_end),
                "weekly_hours": c.job_hours,
                "industry_code": _coded(c.job_industry, INDUSTRIES),
                "workplace_code": _coded(c.job_workplace, self.places.codes),
                "is_subsidised": c.job_subsidised,
            }
        )

    @cached_property
    def conditions(self) -> pd.DataFrame:
        """One row per place and year from 2008 to the vintage: the planted framework conditions."""
        places, conditions = self.places, self.framework
        years = np.arange(_FIRST_FRAME_YEAR, self.vintage.year + 1)
        yearly = {
            "population_count": conditions.population,
            "non_western_share": conditions.non_western_share,
            "unemployment_pct": conditions.unemployment_pct,
            "reach_unemployment_pct": conditions.reach_unemployment(),
            "income_dkk": conditions.income_dkk,
            "dwellings_per_person": conditions.dwellings_per_person,
            "spending_dkk": conditions.spending_dkk,
        }
        fixed = {
            "urbanity": places.urbanity,
            "education_lean": conditions.education_lean,
            "reach_manufacturing_share": conditions.manufacturing_share,
            "reach_newcomer_demand": conditions.newcomer_demand,
        }
        return pd.DataFrame(
            {
                "municipality_code": np.repeat(places.codes, len(years)),
                "year": np.tile(years, len(places.codes)),
                **{name: values[:, years - FIRST_YEAR].ravel() for name, values in yearly.items()},
                **{name: np.repeat(values, len(years)) for name, values in fixed.items()},
            }
        )


def build_world(
    seed: int = DEFAULT_SEED,
    vintage: date | None = None,
    persons: int = DEFAULT_PERSONS,
    municipal_sd: float = DEFAULT_MUNICIPAL_SD,
    method_scale: float = 1.0,
) -> World:
    """Return the world of `seed` as known on `vintage` (the end of 2025 when None); nothing is simulated yet.

    `municipal_sd` is the spread of the municipal effect on the log hazard, 0 for none; `method_scale`
    multiplies every effect of the measures, 0 for a world where no method works.
    """
    return World(
        seed=seed,
        vintage=min(vintage or WORLD_END, WORLD_END),
        person_count=persons,
        municipal_sd=municipal_sd,
        coefficients=Coefficients(method_scale=method_scale),
    )
